//! Takes secrets out of what a system says, should it repeat them, however it writes them.
//! Pure. Used by `auth`.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use secrecy::{ExposeSecret, SecretString};
use url::form_urlencoded::byte_serialize;

/// A very short secret would tear words apart; a system that repeats one hides nothing by it.
const SHORTEST: usize = 4;

/// What must not be shown, longest first, since some begin like others.
pub(super) struct Hidden(Vec<SecretString>);

impl Hidden {
    pub fn new(secrets: &[SecretString]) -> Self {
        let plain = secrets.iter().map(ExposeSecret::expose_secret);
        let mut all: Vec<String> = plain.flat_map(written).collect();
        all.retain(|text| text.len() >= SHORTEST);
        all.sort_by_key(|text| std::cmp::Reverse(text.len()));
        Self(all.into_iter().map(SecretString::from).collect())
    }

    /// The text without them.
    pub fn hide(&self, mut text: String) -> String {
        for secret in self.0.iter().map(ExposeSecret::expose_secret) {
            if text.contains(secret) {
                text = text.replace(secret, "***");
            }
        }
        text
    }
}

/// How a system may write a secret that it repeats: as it is, in JSON, in a URL or a form, in base64.
fn written(plain: &str) -> Vec<String> {
    let json = serde_json::Value::from(plain).to_string();
    let form: String = byte_serialize(plain.as_bytes()).collect();
    let percent = utf8_percent_encode(plain, NON_ALPHANUMERIC).to_string();
    vec![
        plain.to_owned(),
        json[1..json.len() - 1].to_owned(),
        lower_hex(&form),
        lower_hex(&percent),
        form,
        percent,
        STANDARD.encode(plain),
    ]
}

/// The same with `%2f` for `%2F`.
fn lower_hex(text: &str) -> String {
    let mut parts = text.split('%');
    let mut lower = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (hex, rest) = part.split_at(part.len().min(2));
        lower.push('%');
        lower.push_str(&hex.to_ascii_lowercase());
        lower.push_str(rest);
    }
    lower
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_hidden_in_every_way_that_it_is_written() {
        let secret = "a/b+c d=\"é";
        let hidden = Hidden::new(&[SecretString::from(secret)]);
        for text in written(secret) {
            let said = hidden.hide(format!("the key {text} is wrong"));
            assert_eq!(said, "the key *** is wrong");
        }
        let short = Hidden::new(&[SecretString::from("a")]);
        assert_eq!(short.hide("a key".to_owned()), "a key");
    }
}
