//! Numbers from one notation to another, exactly: decimal arithmetic only, and what cannot be written
//! exactly is rejected.

use rust_decimal::Decimal;
use serde_json::{Number, Value};

use crate::api::mapping::{NumberNotation, NumberSpec};
use crate::expression::Path;

use super::field::shown;
use super::numeral::{Numerals, keeps, shifted};

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
    numerals: Numerals,
}

/// Digits after the decimal separator of a currency (ISO 4217 table A.1); 2 for all others.
fn digits(code: &str) -> Option<u32> {
    let mut code: [u8; 3] = code.trim().as_bytes().try_into().ok()?;
    code.make_ascii_uppercase();
    if !code.iter().all(u8::is_ascii_uppercase) {
        return None;
    }
    Some(match &code {
        b"BIF" | b"CLP" | b"DJF" | b"GNF" | b"ISK" | b"JPY" | b"KMF" | b"KRW" | b"PYG" | b"RWF"
        | b"UGX" | b"UYI" | b"VND" | b"VUV" | b"XAF" | b"XOF" | b"XPF" => 0,
        b"BHD" | b"IQD" | b"JOD" | b"KWD" | b"LYD" | b"OMR" | b"TND" => 3,
        b"CLF" | b"UYW" => 4,
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
        if !minor && !matches!(currency, Currency::None) {
            let option = if spec.currency.is_some() {
                "currency"
            } else {
                "currencyCode"
            };
            return Err((
                format!("{field}.{option}"),
                "has no effect without MinorUnits".into(),
            ));
        }
        let numerals = Numerals::compile(spec, parse, field)?;
        Ok(Self {
            parse,
            format,
            currency,
            numerals,
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
        let digits = match &self.currency {
            Currency::None => 0,
            Currency::Fixed(digits) => *digits,
            Currency::At(path) => match path.get(record) {
                Some(Value::String(code)) => digits(code)
                    .ok_or_else(|| format!("{code:?} is no currency code of ISO 4217"))?,
                _ => return Err(format!("the source has no currency at {path}")),
            },
        };
        let mut number = self.read(value, digits)?;
        if self.parse == NumberNotation::MinorUnits {
            number = number
                .checked_mul(Decimal::new(1, digits))
                .ok_or("the number is too large")?;
        }
        match self.format {
            NumberNotation::Decimal => {
                let money = self.parse == NumberNotation::MinorUnits;
                json_number(number, money.then_some(digits))
            }
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

    /// An amount such as `12.30` in minor units, where that takes nothing but its digits; `currency` is what the
    /// record names. `None`: only [`Self::apply`] can say.
    pub fn minor_units(&self, amount: &str, currency: Option<&str>) -> Option<i64> {
        let notations = (self.parse, self.format);
        if notations != (NumberNotation::Decimal, NumberNotation::MinorUnits)
            || !self.numerals.is_plain()
        {
            return None;
        }
        let digits = match self.currency {
            Currency::None => return None,
            Currency::Fixed(digits) => digits,
            Currency::At(_) => digits(currency?)?,
        };
        shifted(amount, digits)
    }

    fn read(&self, value: &Value, digits: u32) -> Result<Decimal, String> {
        let text = match value {
            Value::Number(number) => {
                // How many digits after the point must be certain; all of them where it stays as it is.
                let wanted = match (self.parse, self.format) {
                    (NumberNotation::Decimal, NumberNotation::Decimal) => None,
                    (NumberNotation::Decimal, NumberNotation::MinorUnits) => Some(digits),
                    (NumberNotation::Decimal, NumberNotation::Text) => Some(3),
                    _ => Some(0),
                };
                if wanted.is_some_and(|digits| !keeps(number, digits)) {
                    return Err(format!(
                        "{number} has more digits than a JSON number keeps for sure; have the source send it as a text"
                    ));
                }
                number.to_string().into()
            }
            Value::String(text) => self
                .numerals
                .plain(text.trim())
                .ok_or_else(|| format!("{} is not a number in this notation", shown(value)))?,
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

    /// Whether the source can be told from the target; `currency` says whether the target record has
    /// the currency too.
    pub fn invertible(&self, currency: bool) -> Result<(), &'static str> {
        if !self.numerals.is_plain() {
            return Err("the source's separators are not written back");
        }
        if self.format == NumberNotation::Text && self.parse != NumberNotation::MinorUnits {
            return Err("the zeros at the end of a text are lost");
        }
        if matches!(self.currency, Currency::At(_)) && !currency {
            return Err("the currency does not get into the target");
        }
        Ok(())
    }

    /// The map from the target to the source; `currency` is where the target record has it.
    pub fn inverse(&self, currency: Option<Path>) -> Self {
        let parse = match self.format {
            NumberNotation::Text => NumberNotation::Decimal,
            other => other,
        };
        let currency = match (&self.currency, currency) {
            (Currency::At(_), Some(path)) => Currency::At(path),
            (Currency::Fixed(digits), _) => Currency::Fixed(*digits),
            _ => Currency::None,
        };
        Self {
            parse,
            format: self.parse,
            currency,
            numerals: Numerals::default(),
        }
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

/// The number as JSON, if JSON as everybody reads it keeps all its digits; of money with this many digits
/// after the point only what can be read back for sure.
fn json_number(number: Decimal, money: Option<u32>) -> Result<Value, String> {
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
            if money.is_none_or(|digits| keeps(&json, digits))
                && Decimal::from_str_exact(&json.to_string()).is_ok_and(|back| back == number) =>
        {
            Ok(Value::Number(json))
        }
        _ => Err(format!(
            "{number} cannot be a JSON number without losing digits; use `format: Text`"
        )),
    }
}
