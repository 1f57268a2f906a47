//! How the next page of a list is asked for, and when there is none.
//! Data only.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::api::connection::request::Injection;

/// How the next page is asked for: exactly one way. A token, URL or key that comes twice is an error.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[x_kube(
    validation = Rule::new("[has(self.token), has(self.link), has(self.nextURL), has(self.page), has(self.offset), has(self.lastKey)].filter(x, x).size() == 1").message("give exactly one of token, link, nextURL, page, offset, lastKey")
)]
pub struct PaginationSpec {
    /// The answer holds a token that asks for the next page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<TokenPages>,
    /// The answer has a `Link` header with `rel="next"` (RFC 8288).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub link: Option<LinkPages>,
    /// The answer holds the URL of the next page.
    #[serde(rename = "nextURL", default, skip_serializing_if = "Option::is_none")]
    pub next_url: Option<UrlPages>,
    /// Pages are numbered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub page: Option<NumberedPages>,
    /// The number of records to leave out is sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub offset: Option<OffsetPages>,
    /// A field of the last record is sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_key: Option<LastKeyPages>,
    /// When nothing follows, beside the ways that always hold (no token, link or URL). Default for page,
    /// offset and lastKey: `empty`, which costs one request more than `short` but loses nothing when
    /// the system sends fewer records than it was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stop: Option<StopSpec>,
}

/// A token in the answer asks for the next page; none, null, false or an empty text ends the list.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TokenPages {
    /// Path of the token in the answer.
    #[schemars(length(min = 1, max = 256))]
    pub from: String,
    /// Where the next request carries it.
    pub send_as: Injection,
    /// The size of a page, if it is to be sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<PageSize>,
}

/// The `Link` header with `rel="next"` (RFC 8288); without one the list ends.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct LinkPages {
    /// The size of a page, if it is to be sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<PageSize>,
}

/// A URL in the answer, absolute or relative to the request's; none, null or an empty text ends the list.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct UrlPages {
    /// Path of the URL in the answer.
    #[schemars(length(min = 1, max = 256))]
    pub from: String,
    /// The size of a page, if it is to be sent with the first request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<PageSize>,
}

/// Numbered pages. The same full page twice in a row is an error: the system ignores the number.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NumberedPages {
    /// Number of the first page. Default: 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 1_000_000))]
    pub start: Option<u64>,
    /// Where requests carry the number.
    pub send_as: Injection,
    /// The size of a page, if it is to be sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<PageSize>,
}

/// The number of records to leave out. The same full page twice in a row is an error.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct OffsetPages {
    /// Where requests carry the offset.
    pub send_as: Injection,
    /// The size of a page, if it is to be sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<PageSize>,
}

/// A field of the last record asks for what comes after it: the list must be in its order.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct LastKeyPages {
    /// Path of the field in the record.
    #[schemars(length(min = 1, max = 256))]
    pub from: String,
    /// Where the next request carries it.
    pub send_as: Injection,
    /// The size of a page, if it is to be sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<PageSize>,
}

/// How many records a page has.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PageSize {
    /// Where requests carry the size; it is not sent when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub send_as: Option<Injection>,
    /// The size.
    #[schemars(range(min = 1, max = 100_000))]
    pub value: u32,
}

/// When nothing follows: exactly one rule. Records are counted before any filter.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[x_kube(
    validation = Rule::new("[has(self.empty), has(self.short), has(self.flag), has(self.total), has(self.when)].filter(x, x).size() == 1").message("give exactly one of empty, short, flag, total, when")
)]
pub struct StopSpec {
    /// A page without records: `empty: true`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("enum" = [true]))]
    pub empty: Option<bool>,
    /// A page with fewer records than `size.value`: `short: true`. Only where the system is known to
    /// fill its pages.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("enum" = [true]))]
    pub short: Option<bool>,
    /// A yes or no in the answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub flag: Option<FlagStop>,
    /// As many records were read as the answer says there are; an empty page ends the list as well.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub total: Option<TotalStop>,
    /// CEL over `status`, `headers` (names in lower case) and `body`, also of a page that was refused
    /// (its body is known up to 512 bytes): `status == 404`. An error counts as no.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 4096))]
    pub when: Option<String>,
}

/// A yes or no in the answer that ends the list.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct FlagStop {
    /// Path of the flag in the answer; a missing one counts as false.
    #[schemars(length(min = 1, max = 256))]
    pub path: String,
    /// What it is on the last page: `false` for `has_more`, `true` for `is_last`.
    pub is: bool,
}

/// How many records there are.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TotalStop {
    /// Path of the number in the answer.
    #[schemars(length(min = 1, max = 256))]
    pub path: String,
}

impl PaginationSpec {
    pub(super) fn answer_paths<'a>(&'a self, paths: &mut Vec<(&'static str, &'a str)>) {
        paths.extend(
            self.token
                .as_ref()
                .map(|t| ("pagination.token.from", t.from.as_str())),
        );
        paths.extend(
            self.next_url
                .as_ref()
                .map(|u| ("pagination.nextURL.from", u.from.as_str())),
        );
        if let Some(stop) = &self.stop {
            paths.extend(
                stop.flag
                    .as_ref()
                    .map(|f| ("pagination.stop.flag.path", f.path.as_str())),
            );
            paths.extend(
                stop.total
                    .as_ref()
                    .map(|t| ("pagination.stop.total.path", t.path.as_str())),
            );
        }
    }
}
