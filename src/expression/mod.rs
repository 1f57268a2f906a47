//! Paths, `${placeholders}` and bounded CEL: how a manifest points into a record.
//! Pure: no clock, no I/O. Used by `plan`, `mapping`, `pipeline` and `connector`.

mod cel;
mod path;
mod template;

pub use cel::{Expression, ExpressionError, Variable};
pub use path::{Path, PathError, Step};
pub use template::{Scope, Template, TemplateError};
