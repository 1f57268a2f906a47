//! Rules of reading pages.
