//! How a number is written as text, and which JSON numbers keep all their digits.
//! Pure; used by `number` and, for plain copies, by `field`.

use std::borrow::Cow;

use serde_json::{Number, Value};

use crate::api::mapping::{NumberNotation, NumberSpec};

/// The separators of the source's texts.
#[derive(Debug)]
pub struct Numerals {
    /// Stands before the fraction.
    decimal: char,
    /// Stands between groups of digits.
    group: Option<char>,
}

impl Default for Numerals {
    fn default() -> Self {
        Self {
            decimal: '.',
            group: None,
        }
    }
}

impl Numerals {
    /// Compiles the separators: they can be told apart from digits and from each other.
    pub fn compile(
        spec: &NumberSpec,
        parse: NumberNotation,
        field: &str,
    ) -> Result<Self, (String, String)> {
        let one = |text: &Option<String>| text.as_ref().and_then(|t| t.chars().next());
        let (decimal, group) = (one(&spec.decimal_separator), one(&spec.group_separator));
        for (option, given) in [("decimalSeparator", decimal), ("groupSeparator", group)] {
            let Some(c) = given else { continue };
            if c.is_alphanumeric() || matches!(c, '-' | '+') {
                return Err((
                    format!("{field}.{option}"),
                    format!("{c:?} is part of a number itself"),
                ));
            }
        }
        if decimal.is_some() && parse != NumberNotation::Decimal {
            return Err((
                format!("{field}.decimalSeparator"),
                "has no effect where the source is a whole number".into(),
            ));
        }
        let decimal = decimal.unwrap_or('.');
        if group == Some(decimal) {
            return Err((
                format!("{field}.groupSeparator"),
                format!(
                    "{decimal:?} stands before the fraction; set `decimalSeparator` to another"
                ),
            ));
        }
        Ok(Self { decimal, group })
    }

    /// The text with a dot before the fraction and no grouping; `None` when it is no number in this
    /// notation.
    pub fn plain<'t>(&self, text: &'t str) -> Option<Cow<'t, str>> {
        if self.is_plain() && is_simple(text) {
            return Some(Cow::Borrowed(text));
        }
        self.written_out(text).map(Cow::Owned)
    }

    fn written_out(&self, text: &str) -> Option<String> {
        let (sign, digits) = match text.strip_prefix(['-', '+']) {
            Some(digits) if text.starts_with('-') => ("-", digits),
            Some(digits) => ("", digits),
            None => ("", text),
        };
        let (digits, exponent) = match digits.find(['e', 'E']) {
            Some(at) => digits.split_at(at),
            None => (digits, ""),
        };
        let (whole, fraction) = match digits.split_once(self.decimal) {
            Some((whole, fraction)) if !fraction.is_empty() => (whole, fraction),
            Some(_) => return None,
            None => (digits, ""),
        };
        let whole = self
            .group
            .map_or(Some(whole.into()), |g| ungrouped(whole, g))?;
        let only_digits = |t: &str| t.bytes().all(|b| b.is_ascii_digit());
        let unsigned = exponent.get(1..).unwrap_or("");
        let unsigned = unsigned.strip_prefix(['-', '+']).unwrap_or(unsigned);
        let good = only_digits(&whole)
            && only_digits(fraction)
            && !(whole.is_empty() && fraction.is_empty())
            && only_digits(unsigned)
            && exponent.is_empty() == unsigned.is_empty();
        let dot = if fraction.is_empty() { "" } else { "." };
        let whole = if whole.is_empty() { "0" } else { &whole };
        good.then(|| format!("{sign}{whole}{dot}{fraction}{exponent}"))
    }

    pub fn is_plain(&self) -> bool {
        self.decimal == '.' && self.group.is_none()
    }
}

/// Whether a text is digits with at most a sign before and a point between them, as most are.
fn is_simple(text: &str) -> bool {
    let unsigned = text.strip_prefix('-').unwrap_or(text);
    let (whole, fraction) = unsigned.split_once('.').unwrap_or((unsigned, "0"));
    let digits = |t: &str| !t.is_empty() && t.bytes().all(|b| b.is_ascii_digit());
    digits(whole) && digits(fraction)
}

/// A decimal number with its point moved right by so many digits, where that needs no rounding and all digits fit
/// into 64 bits.
pub fn shifted(text: &str, digits: u32) -> Option<i64> {
    let unsigned = text.strip_prefix('-').unwrap_or(text);
    let (whole, fraction) = unsigned.split_once('.').unwrap_or((unsigned, ""));
    let has_point = whole.len() < unsigned.len();
    if whole.is_empty() || fraction.is_empty() == has_point {
        return None;
    }
    let zeros = digits.checked_sub(u32::try_from(fraction.len()).ok()?)?;
    let number = whole.bytes().chain(fraction.bytes());
    let number = number.chain(std::iter::repeat_n(b'0', zeros as usize));
    let mut number = number.map(|byte| byte.is_ascii_digit().then(|| i64::from(byte - b'0')));
    let number = number.try_fold(0_i64, |all, digit| all.checked_mul(10)?.checked_add(digit?))?;
    Some(if text.starts_with('-') {
        -number
    } else {
        number
    })
}

/// The digits without group separators: groups of three (1,234,567), or of two before the last three
/// (12,34,567). A text without any separator is as good. A space stands for any white space.
fn ungrouped(text: &str, separator: char) -> Option<String> {
    let is_separator =
        |c: char| c == separator || (separator == ' ' && c.is_whitespace() && !c.is_control());
    let groups: Vec<&str> = text.split(is_separator).collect();
    let (first, others) = groups.split_first()?;
    if let Some((last, middle)) = others.split_last() {
        let threes = (1..=3).contains(&first.len()) && middle.iter().all(|g| g.len() == 3);
        let twos = (1..=2).contains(&first.len()) && middle.iter().all(|g| g.len() == 2);
        if last.len() != 3 || !(threes || twos) {
            return None;
        }
    }
    Some(groups.concat())
}

/// Decimal digits that a double (RFC 8259 §6) always keeps.
const FLOAT_DIGITS: usize = 15;

/// Whether a JSON number is for sure what was written, if that had at most `digits` digits after the
/// point: larger doubles have no room for them.
pub fn keeps(number: &Number, digits: u32) -> bool {
    let room = 10_f64.powi(FLOAT_DIGITS as i32 - digits.min(FLOAT_DIGITS as u32) as i32);
    !number.is_f64()
        || (!is_inexact(number) && number.as_f64().is_some_and(|float| float.abs() < room))
}

/// Whether a JSON number was, or may have been, written with more digits than a double keeps.
fn is_inexact(number: &Number) -> bool {
    number.is_f64() && {
        let text = number.to_string();
        let mantissa = text.split(['e', 'E']).next().unwrap_or_default();
        let digits: String = mantissa.chars().filter(char::is_ascii_digit).collect();
        digits.trim_start_matches('0').trim_end_matches('0').len() > FLOAT_DIGITS
    }
}

/// A whole number in a value, at any depth, that is too large for JSON numbers as everybody reads them:
/// beyond 64 bits the last digits were lost when the record was read.
pub fn cut_integer(value: &Value) -> Option<&Number> {
    /// 2⁶³: nearer to zero, whole numbers are kept as integers.
    const BEYOND: f64 = 9_223_372_036_854_775_808.0;
    match value {
        Value::Number(number) if number.is_f64() => {
            let float = number.as_f64().unwrap_or_default();
            (float.abs() >= BEYOND && is_inexact(number)).then_some(number)
        }
        Value::Array(items) => items.iter().find_map(cut_integer),
        Value::Object(fields) => fields.values().find_map(cut_integer),
        _ => None,
    }
}
