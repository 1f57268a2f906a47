//! The worker against a source and a target that do what a test says: real HTTP, a real store.
//! Each test is one way in which a record was once lost, created twice, or a run never ended.

mod absence;
mod echoes;
mod faults;
mod feed;
mod flow;
mod guard;
mod incomplete;
mod letters;
mod matching;
mod outages;
mod places;
mod races;
mod removal;
mod sequences;
mod support;
mod suspect;
mod table;
mod upserts;
