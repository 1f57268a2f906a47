//! What a plain YAML word means: null, a boolean, a number or text, as kubectl reads it (YAML 1.1,
//! sigs.k8s.io/yaml). Pure. Called by `yaml`.

use serde_json::Number;

use super::node::Content;

/// Reads a word that stands without quotes.
pub fn plain(word: &str) -> Result<Content, &'static str> {
    Ok(match word {
        "" | "~" | "null" | "Null" | "NULL" => Content::Null,
        "y" | "Y" | "yes" | "Yes" | "YES" | "true" | "True" | "TRUE" | "on" | "On" | "ON" => {
            Content::Bool(true)
        }
        "n" | "N" | "no" | "No" | "NO" | "false" | "False" | "FALSE" | "off" | "Off" | "OFF" => {
            Content::Bool(false)
        }
        ".inf" | ".Inf" | ".INF" | "+.inf" | "+.Inf" | "+.INF" | "-.inf" | "-.Inf" | "-.INF"
        | ".nan" | ".NaN" | ".NAN" => {
            return Err(
                "infinity and NaN cannot be written in JSON; put it in quotes if text is meant",
            );
        }
        word => number(word).map_or_else(|| Content::Text(word.to_owned()), Content::Number),
    })
}

/// A number in any notation that YAML 1.1 and Go know; `None` when it is text.
fn number(word: &str) -> Option<Number> {
    if !word.starts_with(|c: char| c.is_ascii_digit() || matches!(c, '+' | '-' | '.')) {
        return None;
    }
    let word = word.replace('_', "");
    let (negative, digits) = match word.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, word.strip_prefix('+').unwrap_or(&word)),
    };
    if let Some(whole) = integer(digits) {
        return if negative {
            i64::try_from(-i128::from(whole)).ok().map(Number::from)
        } else {
            Some(Number::from(whole))
        };
    }
    if !is_decimal(digits) {
        return None;
    }
    let float: f64 = word.parse().ok()?;
    // Go writes a float without a fraction as a whole number, so the cluster sees `1` for `1.0`.
    if float.fract() == 0.0 && float.abs() < 1e15 {
        return Some(Number::from(float as i64));
    }
    Number::from_f64(float)
}

/// A whole number: `12`, `0x1F`, `0o17`, `017`, `0b101`.
fn integer(digits: &str) -> Option<u64> {
    let (radix, rest) = match digits.get(..2) {
        Some("0x" | "0X") => (16, &digits[2..]),
        Some("0o" | "0O") => (8, &digits[2..]),
        Some("0b" | "0B") => (2, &digits[2..]),
        _ if digits.len() > 1 && digits.starts_with('0') => (8, &digits[1..]),
        _ => (10, digits),
    };
    if rest.is_empty() || !rest.chars().all(|c| c.is_digit(radix)) {
        return None;
    }
    u64::from_str_radix(rest, radix).ok()
}

/// `1`, `1.5`, `.5`, `5.`, each with an exponent or without.
fn is_decimal(digits: &str) -> bool {
    let (mantissa, exponent) = match digits.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (digits, None),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let all_digits = |text: &str| text.chars().all(|c| c.is_ascii_digit());
    let exponent_fits = exponent.is_none_or(|e| {
        let e = e.strip_prefix(['+', '-']).unwrap_or(e);
        !e.is_empty() && all_digits(e)
    });
    !(whole.is_empty() && fraction.is_empty())
        && all_digits(whole)
        && all_digits(fraction)
        && exponent_fits
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn read(word: &str) -> Value {
        match plain(word).unwrap() {
            Content::Null => Value::Null,
            Content::Bool(flag) => flag.into(),
            Content::Number(number) => Value::Number(number),
            Content::Text(text) => text.into(),
            Content::List(_) | Content::Map(_) => unreachable!(),
        }
    }

    /// What `kubectl` 1.32 made of each word.
    #[test]
    fn words_mean_what_kubectl_makes_of_them() {
        for (word, value) in [
            ("y", json!(true)),
            ("No", json!(false)),
            ("ON", json!(true)),
            ("oFF", json!("oFF")),
            ("tRUE", json!("tRUE")),
            ("Null", json!(null)),
            ("nULL", json!("nULL")),
            ("", json!(null)),
            ("010", json!(8)),
            ("08", json!(8)),
            ("0x1F", json!(31)),
            ("-0x1F", json!(-31)),
            ("0o17", json!(15)),
            ("0b101", json!(5)),
            ("1_000", json!(1000)),
            ("1e3", json!(1000)),
            (".5", json!(0.5)),
            ("5.", json!(5)),
            ("+5", json!(5)),
            ("-0", json!(0)),
            ("1.0", json!(1)),
            ("12.30", json!(12.3)),
            ("-.5e-3", json!(-0.0005)),
            ("1e400", json!("1e400")),
            ("2026-01-31", json!("2026-01-31")),
            ("12:30:45", json!("12:30:45")),
            ("=", json!("=")),
            ("_1", json!("_1")),
            ("-", json!("-")),
            (".", json!(".")),
            ("e5", json!("e5")),
            ("1.2.3", json!("1.2.3")),
            ("18446744073709551615", json!(u64::MAX)),
        ] {
            assert_eq!(read(word), value, "{word:?}");
        }
        assert!(plain(".inf").is_err());
    }
}
