//! Rules of compiling a list.
