//! The functions that an expression may call: those of CEL and of the Kubernetes extensions, by name, and
//! what a call costs beyond the size of its values. Pure; used by `walk` and `meter`.

use std::sync::Arc;

use kube_cel::KubeCelExt;
use kube_cel::cel::extractors::{Arguments, This};
use kube_cel::cel::{Context, ExecutionError, Value};

use super::convert::size;

/// Every function that may be called.
pub const FUNCTIONS: &[&str] = &[
    "add",
    "asApproximateFloat",
    "asInteger",
    "base64.decode",
    "base64.encode",
    "bytes",
    "charAt",
    "cidr",
    "compareTo",
    "contains",
    "containsCIDR",
    "containsIP",
    "distinct",
    "double",
    "duration",
    "endsWith",
    "family",
    "find",
    "findAll",
    "first",
    "flatten",
    "format",
    "format.byte",
    "format.date",
    "format.datetime",
    "format.dns1035Label",
    "format.dns1035LabelPrefix",
    "format.dns1123Label",
    "format.dns1123LabelPrefix",
    "format.dns1123Subdomain",
    "format.dns1123SubdomainPrefix",
    "format.labelValue",
    "format.named",
    "format.qualifiedName",
    "format.uri",
    "format.uuid",
    "getDate",
    "getDayOfMonth",
    "getDayOfWeek",
    "getDayOfYear",
    "getEscapedPath",
    "getFullYear",
    "getHost",
    "getHostname",
    "getHours",
    "getMilliseconds",
    "getMinutes",
    "getMonth",
    "getPort",
    "getQuery",
    "getScheme",
    "getSeconds",
    "hasValue",
    "indexOf",
    "int",
    "ip",
    "ip.isCanonical",
    "isCIDR",
    "isGlobalUnicast",
    "isGreaterThan",
    "isIP",
    "isInteger",
    "isLessThan",
    "isLinkLocalMulticast",
    "isLinkLocalUnicast",
    "isLoopback",
    "isQuantity",
    "isSemver",
    "isSorted",
    "isURL",
    "isUnspecified",
    "join",
    "jsonpatch.escapeKey",
    "last",
    "lastIndexOf",
    "lists.range",
    "lowerAscii",
    "major",
    "masked",
    "matches",
    "math.abs",
    "math.bitAnd",
    "math.bitNot",
    "math.bitOr",
    "math.bitShiftLeft",
    "math.bitShiftRight",
    "math.bitXor",
    "math.ceil",
    "math.floor",
    "math.greatest",
    "math.isFinite",
    "math.isInf",
    "math.isNaN",
    "math.least",
    "math.round",
    "math.sign",
    "math.sqrt",
    "math.trunc",
    "max",
    "min",
    "minor",
    "optional.none",
    "optional.of",
    "optional.ofNonZeroValue",
    "or",
    "orValue",
    "patch",
    "prefixLength",
    "quantity",
    "replace",
    "reverse",
    "semver",
    "sets.contains",
    "sets.equivalent",
    "sets.intersects",
    "sign",
    "size",
    "slice",
    "sort",
    "split",
    "startsWith",
    "string",
    "strings.quote",
    "sub",
    "substring",
    "sum",
    "timestamp",
    "trim",
    "uint",
    "upperAscii",
    "url",
    "validate",
    "value",
];

/// All functions, with those replaced that would show a value's inner form or panic.
pub fn context() -> Context<'static> {
    let mut context = Context::default().with_all();
    context.add_function("join", join);
    context
}

/// `<list of strings>.join(<separator>)`. Other items are an error, as in cel-go, and not their inner form.
fn join(
    This(this): This<Arc<Vec<Value>>>,
    Arguments(args): Arguments,
) -> Result<Value, ExecutionError> {
    let wrong = || ExecutionError::function_error("join", "wants texts");
    let text = |value: &Value| match value {
        Value::String(text) => Ok(text.to_string()),
        _ => Err(wrong()),
    };
    let separator = args.first().map_or(Ok(String::new()), text)?;
    let parts: Vec<String> = this.iter().map(text).collect::<Result<_, _>>()?;
    Ok(Value::String(Arc::new(parts.join(&separator))))
}

/// The work of a call beyond reading its values once; `values` are the target, if any, and the arguments.
pub fn extra_cost(name: &str, values: &[Value]) -> u64 {
    let bytes = |at: usize| match values.get(at) {
        Some(Value::String(text)) => text.len() as u64,
        _ => 0,
    };
    let sizes = |at: usize| values.get(at).map_or(0, size);
    match name {
        "lists.range" => match values.first() {
            Some(Value::Int(count)) => u64::try_from(*count).unwrap_or(0),
            _ => 0,
        },
        "replace" => match values {
            [
                Value::String(text),
                Value::String(old),
                Value::String(new),
                ..,
            ] => {
                let found = text.matches(old.as_str()).count() as u64;
                found.saturating_mul(1 + new.len() as u64 / 8)
            }
            _ => 0,
        },
        "join" => match values.first() {
            Some(Value::List(items)) => (items.len() as u64).saturating_mul(1 + bytes(1) / 8),
            _ => 0,
        },
        // Each item against each.
        "distinct" | "sets.contains" | "sets.equivalent" | "sets.intersects" => {
            let other = if values.len() > 1 { sizes(1) } else { sizes(0) };
            sizes(0).saturating_mul(other)
        }
        "indexOf" | "lastIndexOf" => bytes(0).saturating_mul(1 + bytes(1)),
        // The pattern is compiled in every call; repetitions and classes make it large.
        "matches" | "find" | "findAll" => bytes(0) + pattern_cost(values.get(1)),
        // A character each.
        "split" | "charAt" | "substring" | "reverse" => bytes(0),
        "format" => match values.first() {
            Some(Value::String(text)) => largest_number(text),
            _ => 0,
        },
        _ => 0,
    }
}

fn pattern_cost(pattern: Option<&Value>) -> u64 {
    let Some(Value::String(pattern)) = pattern else {
        return 0;
    };
    let each = |byte: u8| match byte {
        b'{' => 200_000,
        b'\\' | b'[' | b'(' => 500,
        _ => 50,
    };
    pattern.bytes().map(each).sum()
}

/// The largest number in a text: no width or precision can be larger.
fn largest_number(text: &str) -> u64 {
    text.split(|c: char| !c.is_ascii_digit())
        .filter(|digits| !digits.is_empty())
        .map(|digits| digits.parse().unwrap_or(u64::MAX))
        .max()
        .unwrap_or(0)
}
