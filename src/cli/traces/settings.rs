//! What the environment variables of OpenTelemetry say of the exporter (opentelemetry.io, "Environment Variable
//! Specification" and "OpenTelemetry Protocol Exporter"). No I/O. Used by `traces`.
//!
//! The libraries read the rest for themselves: headers, compression, queue, sampler, resource.

use std::path::PathBuf;
use std::time::Duration;

use url::Url;

/// Time for one export where nothing else is said.
const TIMEOUT: Duration = Duration::from_secs(10);
/// Where a collector on this machine listens.
const LOCAL: &str = "http://localhost:4318";

/// Where and how spans are sent.
#[derive(Debug, PartialEq, Eq)]
pub struct Settings {
    /// With the path of the signal.
    pub endpoint: Url,
    pub timeout: Duration,
    /// Whom to trust instead of the machine's certificates; PEM.
    pub certificate: Option<PathBuf>,
    /// Who the client is: certificates and key, PEM.
    pub client: Option<(PathBuf, PathBuf)>,
}

impl Settings {
    /// Reads them with `get`, which answers `None` for a variable that is empty. `None`: nothing is to be exported,
    /// since no variable names a collector.
    ///
    /// # Errors
    /// A variable with a value that cannot be used, without that value.
    pub fn read(get: impl Fn(&str) -> Option<String>) -> Result<Option<Self>, String> {
        // A variable of the signal wins over the one for all signals.
        let of = |what: &str| {
            let named = [
                format!("OTEL_EXPORTER_OTLP_TRACES_{what}"),
                format!("OTEL_EXPORTER_OTLP_{what}"),
            ];
            named
                .into_iter()
                .find_map(|name| get(&name).map(|value| (name, value)))
        };
        if get("OTEL_SDK_DISABLED").is_some_and(|value| value.eq_ignore_ascii_case("true")) {
            return Ok(None);
        }
        let chosen = get("OTEL_TRACES_EXPORTER");
        match chosen.as_deref() {
            None | Some("otlp") => {}
            Some("none") => return Ok(None),
            Some(_) => return Err("OTEL_TRACES_EXPORTER can be otlp or none".to_owned()),
        }
        let endpoint = match of("ENDPOINT") {
            Some((name, value)) => endpoint(&name, &value)?,
            None if chosen.is_some() => endpoint("OTEL_EXPORTER_OTLP_ENDPOINT", LOCAL)?,
            None => return Ok(None),
        };
        if let Some((name, value)) = of("PROTOCOL")
            && value != "http/protobuf"
        {
            return Err(format!(
                "{name}: only http/protobuf is spoken; collectors listen for it at port 4318"
            ));
        }
        let timeout = match of("TIMEOUT") {
            None => TIMEOUT,
            Some((name, value)) => match value.parse() {
                Ok(milliseconds @ 1..=600_000) => Duration::from_millis(milliseconds),
                _ => return Err(format!("{name} is a number of milliseconds up to 600000")),
            },
        };
        let file = |what: &str| of(what).map(|(_, value)| PathBuf::from(value));
        let client = match (file("CLIENT_CERTIFICATE"), file("CLIENT_KEY")) {
            (None, None) => None,
            (Some(certificate), Some(key)) => Some((certificate, key)),
            _ => {
                return Err(
                    "OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE and OTEL_EXPORTER_OTLP_CLIENT_KEY belong together"
                        .to_owned(),
                );
            }
        };
        Ok(Some(Self {
            endpoint,
            timeout,
            certificate: file("CERTIFICATE"),
            client,
        }))
    }
}

/// The URL of the signal: that of a collector gets the signal's path, one for traces is taken as it is.
fn endpoint(name: &str, value: &str) -> Result<Url, String> {
    let wrong = || format!("{name} is a URL such as http://collector:4318");
    let mut url = Url::parse(value).map_err(|_| wrong())?;
    if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
        return Err(wrong());
    }
    if name == "OTEL_EXPORTER_OTLP_ENDPOINT" {
        let path = format!("{}/v1/traces", url.path().trim_end_matches('/'));
        url.set_path(&path);
    }
    Ok(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ENDPOINT: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";
    const TRACES_ENDPOINT: &str = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT";

    fn read(variables: &[(&str, &str)]) -> Result<Option<Settings>, String> {
        Settings::read(|name| {
            let found = variables.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| (*value).to_owned())
        })
    }

    fn url(variables: &[(&str, &str)]) -> String {
        read(variables).unwrap().unwrap().endpoint.to_string()
    }

    #[test]
    fn nothing_is_exported_unless_a_collector_is_named() {
        for variables in [
            &[][..],
            &[("OTEL_SERVICE_NAME", "sync")],
            &[
                ("OTEL_TRACES_EXPORTER", "none"),
                (ENDPOINT, "http://c:4318"),
            ],
            &[("OTEL_SDK_DISABLED", "True"), (ENDPOINT, "http://c:4318")],
        ] {
            assert_eq!(read(variables), Ok(None), "{variables:?}");
        }
    }

    #[test]
    fn the_endpoint_for_all_signals_gets_the_path_of_traces() {
        assert_eq!(
            url(&[(ENDPOINT, "http://c:4318")]),
            "http://c:4318/v1/traces"
        );
        assert_eq!(
            url(&[(ENDPOINT, "https://c/otlp/")]),
            "https://c/otlp/v1/traces"
        );
        let both = [(ENDPOINT, "http://c:4318"), (TRACES_ENDPOINT, "http://t/x")];
        assert_eq!(url(&both), "http://t/x");
        let chosen = [("OTEL_TRACES_EXPORTER", "otlp")];
        assert_eq!(url(&chosen), "http://localhost:4318/v1/traces");
    }

    #[test]
    fn a_setting_that_cannot_be_used_is_named_without_its_value() {
        for (name, value) in [
            (TRACES_ENDPOINT, "secret"),
            ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"),
            ("OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "soon"),
            ("OTEL_EXPORTER_OTLP_CLIENT_KEY", "key.pem"),
            ("OTEL_TRACES_EXPORTER", "zipkin"),
        ] {
            let problem = read(&[(ENDPOINT, "http://c:4318"), (name, value)]).unwrap_err();
            assert!(
                problem.contains(name) && !problem.contains(value),
                "{problem}"
            );
        }
    }
}
