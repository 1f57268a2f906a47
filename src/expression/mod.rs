//! Paths, `${placeholders}` and bounded CEL: how a manifest points into a record.
//! Pure: no clock, no I/O. Used by `plan`, `mapping`, `pipeline`, `connector` and `worker`.

mod cel;
mod fields;
mod path;
pub mod raw;
mod scanner;
mod template;

pub use cel::{Expression, ExpressionError, Variable};
pub use fields::{Fields, Found, RecordText};
pub use path::{Path, PathError, Step};
pub use scanner::{Malformed, Scanner};
pub use template::{Scope, Template, TemplateError};
