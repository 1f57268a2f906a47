//! Numbers from one notation to another, exactly: decimal arithmetic only, and what cannot be written
//! exactly is rejected.

use rust_decimal::Decimal;
use serde_json::{Number, Value};

use crate::api::mapping::{NumberNotation, NumberSpec};
use crate::expression::Path;

use super::field::shown;

#[derive(Debug)]
enum Currency {
    None,
    At(Path),
    Fixed(u32),
}

#[derive(Debug)]
pub struct NumberMap {
    parse: NumberNotation,
    format: NumberNotation,
    currency: Currency,
    decimal: Option<char>,
    group: Option<char>,
}

/// Digits after the decimal separator of a currency (ISO 4217 table A.1); 2 for all others.
fn digits(code: &str) -> Option<u32> {
    let code = code.trim().to_ascii_uppercase();
    if code.len() != 3 || !code.bytes().all(|b| b.is_ascii_uppercase()) {
        return None;
    }
    Some(match code.as_str() {
        "BIF" | "CLP" | "DJF" | "GNF" | "ISK" | "JPY" | "KMF" | "KRW" | "PYG" | "RWF" | "UGX"
        | "UYI" | "VND" | "VUV" | "XAF" | "XOF" | "XPF" => 0,
        "BHD" | "IQD" | "JOD" | "KWD" | "LYD" | "OMR" | "TND" => 3,
        "CLF" | "UYW" => 4,
        _ => 2,
    })
}

impl NumberMap {
    pub fn compile(spec: &NumberSpec, field: &str) -> Result<Self, (String, String)> {
        let (parse, format) = (
            spec.parse.unwrap_or_default(),
            spec.format.unwrap_or_default(),
        );
        let currency = match (&spec.currency, &spec.currency_code) {
            (Some(_), Some(_)) => {
                return Err((
                    field.into(),
                    "either `currency` or `currencyCode`, not both".into(),
                ));
            }
            (Some(path), None) => Currency::At(
                Path::parse(path).map_err(|e| (format!("{field}.currency"), e.to_string()))?,
            ),
            (None, Some(code)) => Currency::Fixed(digits(code).ok_or_else(|| {
                (
                    format!("{field}.currencyCode"),
                    format!("{code:?} is no currency code of ISO 4217, such as EUR"),
                )
            })?),
            (None, None) => Currency::None,
        };
        if parse == NumberNotation::Text {
            return Err((
                format!("{field}.parse"),
                "Text is for `format` only; Decimal reads texts".into(),
            ));
        }
        let minor = parse == NumberNotation::MinorUnits || format == NumberNotation::MinorUnits;
        if minor && matches!(currency, Currency::None) {
            return Err((
                field.into(),
                "MinorUnits need `currency` (a path) or `currencyCode`".into(),
            ));
        }
        let one = |text: &Option<String>| text.as_ref().and_then(|t| t.chars().next());
        Ok(Self {
            parse,
            format,
            currency,
            decimal: one(&spec.decimal_separator),
            group: one(&spec.group_separator),
        })
    }

    /// Where the record names its currency.
    pub fn currency_path(&self) -> Option<&Path> {
        match &self.currency {
            Currency::At(path) => Some(path),
            Currency::None | Currency::Fixed(_) => None,
        }
    }

    pub fn apply(&self, value: &Value, record: &Value) -> Result<Value, String> {
        let mut number = self.read(value)?;
        let digits = match &self.currency {
            Currency::None => 0,
            Currency::Fixed(digits) => *digits,
            Currency::At(path) => match path.get(record) {
                Some(Value::String(code)) => digits(code)
                    .ok_or_else(|| format!("{code:?} is no currency code of ISO 4217"))?,
                _ => return Err(format!("the source has no currency at {path}")),
            },
        };
        if self.parse == NumberNotation::MinorUnits {
            number = number
                .checked_mul(Decimal::new(1, digits))
                .ok_or("the number is too large")?;
        }
        match self.format {
            NumberNotation::Decimal => json_number(number),
            NumberNotation::Text if self.parse == NumberNotation::MinorUnits => {
                let mut number = number;
                number.rescale(digits);
                Ok(Value::String(number.to_string()))
            }
            NumberNotation::Text => Ok(Value::String(number.to_string())),
            NumberNotation::Integer => whole(number, value),
            NumberNotation::MinorUnits => {
                let scale = Decimal::from(10_u64.pow(digits));
                let units = number.checked_mul(scale).ok_or("the number is too large")?;
                whole(units, value)
            }
        }
    }

    fn read(&self, value: &Value) -> Result<Decimal, String> {
        let text = match value {
            Value::Number(number) => number.to_string(),
            Value::String(text) => self.plain(text.trim()),
            other => return Err(format!("{} is not a number", shown(other))),
        };
        let number = if text.contains(['e', 'E']) {
            Decimal::from_scientific(&text)
        } else {
            Decimal::from_str_exact(&text)
        };
        let number = number
            .map_err(|_| format!("{} is not a number that can be kept exactly", shown(value)))?;
        if self.parse != NumberNotation::Decimal && !number.fract().is_zero() {
            return Err(format!("{} is not a whole number", shown(value)));
        }
        Ok(number)
    }

    /// The text with a dot before the fraction and no grouping.
    fn plain(&self, text: &str) -> String {
        if self.decimal.is_none() && self.group.is_none() {
            return text.to_owned();
        }
        let decimal = self.decimal.unwrap_or('.');
        text.chars()
            .filter(|c| Some(*c) != self.group)
            .map(|c| if c == decimal { '.' } else { c })
            .collect()
    }
}

fn whole(number: Decimal, source: &Value) -> Result<Value, String> {
    if !number.fract().is_zero() {
        return Err(format!(
            "{} has more digits than the target can hold",
            shown(source)
        ));
    }
    let number = number.trunc();
    i64::try_from(number)
        .map(Value::from)
        .map_err(|_| format!("{} is too large for a whole number", shown(source)))
}

/// The number as JSON, if JSON as everybody reads it keeps all its digits.
fn json_number(number: Decimal) -> Result<Value, String> {
    let number = number.normalize();
    if number.fract().is_zero()
        && let Ok(int) = i64::try_from(number)
    {
        return Ok(int.into());
    }
    let exact = number
        .to_string()
        .parse::<f64>()
        .ok()
        .and_then(Number::from_f64);
    match exact {
        Some(json)
            if Decimal::from_str_exact(&json.to_string()).is_ok_and(|back| back == number) =>
        {
            Ok(Value::Number(json))
        }
        _ => Err(format!(
            "{number} cannot be a JSON number without losing digits; use `format: Text`"
        )),
    }
}
