//! Days in plain notations, such as `%m/%d/%Y`: read and written without the machinery that any pattern of
//! strftime needs. What it does not read, that may still read. Pure; used by `notation`.

use jiff::civil::Date;

/// A notation of year, month and day as digits, each once.
#[derive(Clone, Debug, PartialEq)]
pub struct Days(Vec<Part>);

#[derive(Clone, Debug, PartialEq)]
enum Part {
    Year,
    Month,
    Day,
    Between(u8),
}

impl Days {
    /// `None`: the pattern is another one.
    pub fn compile(pattern: &str) -> Option<Self> {
        let mut parts = Vec::new();
        let mut bytes = pattern.bytes();
        while let Some(byte) = bytes.next() {
            parts.push(match byte {
                b'%' => match bytes.next()? {
                    b'Y' => Part::Year,
                    b'm' => Part::Month,
                    b'd' => Part::Day,
                    _ => return None,
                },
                b'/' | b'-' | b'.' | b' ' => Part::Between(byte),
                _ => return None,
            });
        }
        let once = |part: Part| parts.iter().filter(|p| **p == part).count() == 1;
        let whole = once(Part::Year) && once(Part::Month) && once(Part::Day);
        whole.then_some(Self(parts))
    }

    /// The day, where each number has all its digits.
    pub fn read(&self, text: &str) -> Option<Date> {
        let mut rest = text.as_bytes();
        let (mut year, mut month, mut day) = (0, 0, 0);
        for part in &self.0 {
            match part {
                Part::Year => year = number::<4>(&mut rest)?,
                Part::Month => month = number::<2>(&mut rest)?,
                Part::Day => day = number::<2>(&mut rest)?,
                Part::Between(byte) => rest = rest.strip_prefix(std::slice::from_ref(byte))?,
            }
        }
        if !rest.is_empty() {
            return None;
        }
        Date::new(year, i8::try_from(month).ok()?, i8::try_from(day).ok()?).ok()
    }

    /// `None`: its year has not four digits.
    pub fn write(&self, date: Date) -> Option<String> {
        let year = u16::try_from(date.year()).ok()?;
        let mut text = String::with_capacity(12);
        for part in &self.0 {
            match part {
                Part::Year => {
                    push(&mut text, (year / 100) as u8);
                    push(&mut text, (year % 100) as u8);
                }
                Part::Month => push(&mut text, date.month().unsigned_abs()),
                Part::Day => push(&mut text, date.day().unsigned_abs()),
                Part::Between(byte) => text.push(char::from(*byte)),
            }
        }
        Some(text)
    }
}

/// Adds a number of two digits.
fn push(text: &mut String, number: u8) {
    text.push(char::from(b'0' + number / 10));
    text.push(char::from(b'0' + number % 10));
}

/// Takes a number of so many digits.
fn number<const N: usize>(rest: &mut &[u8]) -> Option<i16> {
    let (digits, after) = rest.split_first_chunk::<N>()?;
    *rest = after;
    digits.iter().try_fold(0, |number, digit| {
        let digit = digit.is_ascii_digit().then(|| i16::from(digit - b'0'))?;
        Some(number * 10 + digit)
    })
}

#[cfg(test)]
mod tests {
    use jiff::fmt::strtime;
    use proptest::prelude::*;

    use super::*;

    const PATTERNS: [&str; 6] = [
        "%m/%d/%Y", "%Y-%m-%d", "%d.%m.%Y", "%Y%m%d", "%d %m %Y", "%d/%m/%Y",
    ];

    #[test]
    fn other_patterns_are_left_alone() {
        for pattern in [
            "%Y-%m",
            "%Y-%m-%d %H",
            "%F",
            "%-d.%m.%Y",
            "%Y-%m-%d%%",
            "%Y-%m-%d-%d",
            "%d %B %Y",
            "%",
            "day %d",
        ] {
            assert_eq!(Days::compile(pattern), None, "{pattern}");
        }
    }

    proptest! {
        #[test]
        fn a_day_is_what_strftime_makes_of_it(
            pattern in prop::sample::select(PATTERNS.to_vec()),
            days in 0_i32..3_652_000,
        ) {
            let date = jiff::civil::date(0, 1, 1) + jiff::Span::new().days(days);
            let days = Days::compile(pattern).unwrap();
            let text = strtime::format(pattern, date).unwrap();
            prop_assert_eq!(days.write(date), Some(text.clone()));
            prop_assert_eq!(days.read(&text), Some(date));
        }

        #[test]
        fn what_is_read_is_read_the_same_by_strptime(
            pattern in prop::sample::select(PATTERNS.to_vec()),
            text in r"[0-9]{1,5}[-/. ]?[0-9]{1,3}[-/. ]?[0-9]{1,5}|.{0,12}",
        ) {
            if let Some(date) = Days::compile(pattern).unwrap().read(&text) {
                prop_assert_eq!(strtime::parse(pattern, &text).and_then(|p| p.to_date()).ok(), Some(date));
            }
        }
    }
}
