//! The rows, by what is wrong: each file is a table, and each row of it a test.

mod answers;
mod network;
mod pages;
mod store;
mod writes;

/// Makes a test of each row.
macro_rules! table {
    ($($(#[$doc:meta])* $name:ident: $row:expr,)*) => {
        $(
            $(#[$doc])*
            #[test]
            fn $name() {
                $crate::bench::check(&$row);
            }
        )*
    };
}
use table;
