//! Finds where the values of a JSON text stand and makes nothing of them: RFC 8259, checked as strictly as
//! serde_json checks what it skips. Pure. Used by `connector` for pages, and by `Fields` and `mapping` for records.

#[cfg(test)]
mod tests;

use std::borrow::Cow;

/// The text is not JSON from here on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed;

/// A place in a JSON text.
#[derive(Debug)]
pub struct Scanner<'t> {
    text: &'t [u8],
    at: usize,
    /// An object or a list was entered, and nothing in it was read yet.
    entered: bool,
    /// The brackets that the value which is being skipped has open.
    open: Vec<u8>,
}

impl<'t> Scanner<'t> {
    /// At the beginning of a text. That it is UTF-8 is not looked at.
    pub fn new(text: &'t [u8]) -> Self {
        Self {
            text,
            at: 0,
            entered: false,
            open: Vec::new(),
        }
    }

    /// The byte that the next token begins with; `None` at the end of the text.
    pub fn peek(&mut self) -> Option<u8> {
        loop {
            match self.text.get(self.at)? {
                b' ' | b'\n' | b'\t' | b'\r' => self.at += 1,
                byte => return Some(*byte),
            }
        }
    }

    /// The text of the value that stands here, without the spaces around it.
    pub fn value(&mut self) -> Result<&'t [u8], Malformed> {
        let first = self.peek();
        let from = self.at;
        let skipped = match first {
            // What most values are.
            Some(b'"') => self.quoted().map(|_| ()),
            _ => {
                self.open.clear();
                self.skip()
            }
        };
        skipped.ok_or(Malformed)?;
        Ok(&self.text[from..self.at])
    }

    /// Steps into the object or the list that stands here.
    pub fn enter(&mut self) -> Result<(), Malformed> {
        match self.peek() {
            Some(b'{' | b'[') => self.at += 1,
            _ => return Err(Malformed),
        }
        self.entered = true;
        Ok(())
    }

    /// The name of the next field of the object that was entered, in UTF-8 if the text is; its value is the next to
    /// be read or entered. `None`: that was the last one.
    pub fn name(&mut self) -> Result<Option<Cow<'t, [u8]>>, Malformed> {
        if !self.next(b'}')? {
            return Ok(None);
        }
        let name = self.text_of_name().ok_or(Malformed)?;
        Ok(Some(name))
    }

    /// Whether there is a next item in the list that was entered, which is the next to be read or entered.
    pub fn item(&mut self) -> Result<bool, Malformed> {
        self.next(b']')
    }

    /// How far it has come, in bytes.
    pub fn at(&self) -> usize {
        self.at
    }

    /// The text from there to here.
    pub fn since(&self, from: usize) -> &'t [u8] {
        &self.text[from..self.at]
    }

    /// Nothing more may come.
    pub fn end(&mut self) -> Result<(), Malformed> {
        self.peek().map_or(Ok(()), |_| Err(Malformed))
    }

    fn next(&mut self, end: u8) -> Result<bool, Malformed> {
        let first = std::mem::take(&mut self.entered);
        match self.peek() {
            Some(byte) if byte == end => {
                self.at += 1;
                Ok(false)
            }
            Some(_) if first => Ok(true),
            Some(b',') => {
                self.at += 1;
                Ok(true)
            }
            _ => Err(Malformed),
        }
    }

    fn text_of_name(&mut self) -> Option<Cow<'t, [u8]>> {
        self.peek();
        let from = self.at;
        let plain = self.quoted()?;
        let name = if plain {
            Cow::Borrowed(&self.text[from + 1..self.at - 1])
        } else {
            let name: String = serde_json::from_slice(&self.text[from..self.at]).ok()?;
            Cow::Owned(name.into_bytes())
        };
        self.colon()?;
        Some(name)
    }

    /// Over one value. Without recursion: how deep a text nests is not ours to say.
    fn skip(&mut self) -> Option<()> {
        loop {
            match self.peek()? {
                b'"' => drop(self.quoted()?),
                b'-' | b'0'..=b'9' => self.number()?,
                b't' => self.literal(b"true")?,
                b'f' => self.literal(b"false")?,
                b'n' => self.literal(b"null")?,
                bracket @ (b'{' | b'[') => {
                    self.at += 1;
                    if self.peek()? == closing(bracket) {
                        self.at += 1;
                    } else {
                        self.open.push(bracket);
                        self.field(bracket)?;
                        continue;
                    }
                }
                _ => return None,
            }
            loop {
                let Some(&bracket) = self.open.last() else {
                    return Some(());
                };
                let byte = self.peek()?;
                self.at += 1;
                if byte == b',' {
                    self.field(bracket)?;
                    break;
                }
                if byte != closing(bracket) {
                    return None;
                }
                self.open.pop();
            }
        }
    }

    /// Over the name before a value, where there is one.
    fn field(&mut self, bracket: u8) -> Option<()> {
        if bracket == b'[' {
            return Some(());
        }
        self.peek()?;
        self.quoted()?;
        self.colon()
    }

    fn colon(&mut self) -> Option<()> {
        (self.peek()? == b':').then(|| self.at += 1)
    }

    fn literal(&mut self, word: &[u8]) -> Option<()> {
        self.text[self.at..]
            .starts_with(word)
            .then(|| self.at += word.len())
    }

    fn number(&mut self) -> Option<()> {
        self.take(|byte| byte == b'-');
        match self.text.get(self.at)? {
            b'0' => self.at += 1,
            b'1'..=b'9' => drop(self.digits()),
            _ => return None,
        }
        if self.take(|byte| byte == b'.') {
            self.digits()?;
        }
        if self.take(|byte| matches!(byte, b'e' | b'E')) {
            self.take(|byte| matches!(byte, b'+' | b'-'));
            self.digits()?;
        }
        Some(())
    }

    fn take(&mut self, wanted: impl Fn(u8) -> bool) -> bool {
        let is = self.text.get(self.at).is_some_and(|byte| wanted(*byte));
        self.at += usize::from(is);
        is
    }

    /// Over one digit and all that follow.
    fn digits(&mut self) -> Option<()> {
        let digit = |byte: u8| byte.is_ascii_digit();
        if !self.take(digit) {
            return None;
        }
        while self.take(digit) {}
        Some(())
    }

    /// Over a text; whether it is written without escapes.
    fn quoted(&mut self) -> Option<bool> {
        let text = self.text;
        if *text.get(self.at)? != b'"' {
            return None;
        }
        let mut at = self.at + 1;
        let mut plain = true;
        loop {
            at = after_ordinary(text, at);
            match *text.get(at)? {
                b'"' => {
                    self.at = at + 1;
                    return Some(plain);
                }
                b'\\' => {
                    plain = false;
                    self.at = at + 1;
                    self.escape()?;
                    at = self.at;
                }
                _ => return None,
            }
        }
    }

    fn escape(&mut self) -> Option<()> {
        match self.text.get(self.at)? {
            b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => self.at += 1,
            b'u' => {
                let digits = self.text.get(self.at + 1..self.at + 5)?;
                if !digits.iter().all(u8::is_ascii_hexdigit) {
                    return None;
                }
                self.at += 5;
            }
            _ => return None,
        }
        Some(())
    }
}

fn closing(bracket: u8) -> u8 {
    if bracket == b'{' { b'}' } else { b']' }
}

/// Where the next quote, backslash or control character stands, from there on: eight bytes at a time.
#[inline]
fn after_ordinary(text: &[u8], mut at: usize) -> usize {
    const ONES: u64 = u64::MAX / 255;
    const HIGH: u64 = ONES << 7;
    // The high bit of each byte that is below the limit; above such a byte, also of others.
    let below = |word: u64, limit: u8| word.wrapping_sub(ONES * u64::from(limit)) & !word;
    while let Some(bytes) = text.get(at..).and_then(<[u8]>::first_chunk) {
        let word = u64::from_le_bytes(*bytes);
        // With its second bit turned, a quote (0x22) is 0x20, the only one with the control characters below 0x21.
        let quote_or_control = below(word ^ (ONES * 0x02), 0x21);
        let backslash = below(word ^ (ONES * u64::from(b'\\')), 1);
        let found = (quote_or_control | backslash) & HIGH;
        if found != 0 {
            return at + found.trailing_zeros() as usize / 8;
        }
        at += 8;
    }
    while text
        .get(at)
        .is_some_and(|byte| !matches!(byte, b'"' | b'\\' | 0..0x20))
    {
        at += 1;
    }
    at
}
