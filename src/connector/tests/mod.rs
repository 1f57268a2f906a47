//! The connector against small servers in this process.

mod answers;
mod auth;
mod limits;
mod pages;
mod support;
mod writes;
