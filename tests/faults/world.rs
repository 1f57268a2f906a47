//! Both systems and what goes wrong with them: every request becomes a fate. Pure but for the state it
//! holds; `server` puts it on the network, `life` runs engines against it.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use crate::case::{Case, Fault, Guarantee};
use crate::killer::{Killer, Moment};
use crate::rows::Rows;
use crate::source::Source;
use crate::target::{Answer, Request, Target};

/// Headers beside the content type.
pub type Headers = Vec<(&'static str, &'static str)>;

/// What becomes of a request.
pub enum Fate {
    Answer(Answer, Headers),
    /// The answer comes after this time, and the engine still waits for it.
    Slow(Duration, Answer),
    /// The connection is closed without a word.
    Drop,
    /// No answer comes for as long as the engine waits: it ends, or gives up.
    Hang,
}

/// Writes in a row that are asked to come slower: the engine doubles its wait each time, up to minutes.
const MOST_SLOWED: u32 = 4;

pub struct World {
    pub case: Case,
    pub source: Source,
    pub target: Target,
    /// Whether anything goes wrong.
    pub trouble: bool,
    /// Of the engine's life that runs now.
    pub killer: Arc<Killer>,
    /// Requests that were made to fail.
    pub faults: u64,
    /// Records that were deleted in the target though they were in the source all the time.
    pub wrongly_deleted: Vec<String>,
    token: u64,
    asked: HashMap<String, u64>,
    rows: Rows,
    /// Writes in a row that were asked to come slower.
    slowed: u32,
}

impl World {
    pub fn new(case: Case) -> Self {
        Self {
            case,
            source: Source::new(case),
            target: Target::new(case),
            trouble: true,
            killer: Arc::new(Killer::new(None)),
            faults: 0,
            wrongly_deleted: vec![],
            token: 0,
            asked: HashMap::new(),
            rows: Rows::default(),
            slowed: 0,
        }
    }

    /// How often this was asked for before.
    pub fn nth(&mut self, what: &str) -> u64 {
        let count = self.asked.entry(what.to_owned()).or_default();
        *count += 1;
        *count
    }

    pub fn chance(&mut self, what: &str, percent: u64) -> bool {
        let nth = self.nth(what);
        self.trouble && self.case.dice().chance(what, nth, percent)
    }

    /// A login of the engine.
    pub fn login(&mut self) -> Fate {
        good(json!({"token": format!("t{}", self.token)}))
    }

    /// Whether a request's token has expired.
    pub fn expired(&mut self, token: &str) -> bool {
        if self.case.has(Fault::Token) && self.chance("token", 15) {
            self.token += 1;
            self.faults += 1;
        }
        token != format!("t{}", self.token)
    }

    /// A request to the source.
    pub fn read(&mut self, path: &[String], query: &HashMap<String, String>) -> Fate {
        if self.killer.passes(Moment::Page) {
            return Fate::Hang;
        }
        if let Some(fate) = self.read_fault(&format!("read {path:?}")) {
            return fate;
        }
        if let [id] = path {
            if self.is_away(id) {
                return bad(503);
            }
            let record = self.source.get(id);
            return record.map_or(bad(404), good);
        }
        let since = query.get("since").and_then(|s| s.parse().ok());
        let since = since.map(|time: jiff::Timestamp| time.as_millisecond());
        let (page, ids) = match query.get("page").and_then(|p| p.parse::<usize>().ok()) {
            Some(number) => self.numbered(number),
            None => self.page(query.get("token").map(String::as_str), since),
        };
        let changes = match self.case.fault {
            Fault::Crash => 80,
            _ if self.case.has(Fault::Changes) => 40,
            _ => 0,
        };
        if self.chance("stir", changes) {
            self.stir(&ids);
        }
        if self.case.vanishes && self.chance("vanish", 35) {
            self.vanish(&ids);
        }
        let slow = self.case.has(Fault::Webhooks) && self.chance("slow page", 50);
        match slow {
            true => Fate::Slow(Duration::from_millis(20), (200, page)),
            false => good(page),
        }
    }

    fn page(&mut self, token: Option<&str>, since: Option<i64>) -> (Value, Vec<String>) {
        // What a feed does not tell is right in the list.
        let lies = self.case.has(Fault::Pages) && self.case.feed.is_none();
        let short = lies && self.chance("short page", 30);
        // Only versions that say which is the newer one can be told from those of an old replica.
        let old =
            lies && self.case.ordered && self.case.granularity == 1 && self.chance("old page", 20);
        let (dice, nth) = (self.case.dice(), self.nth("page"));
        let is_old = |id: &str| old && dice.chance(id, nth, 50);
        let size = if short { 1 } else { usize::MAX };
        let (mut page, mut ids) = self.source.page(token, since, is_old, size);
        if lies && self.chance("repeated page", 20) {
            // The page before it once more, in front of it.
            let (before, more) = self.source.page(None, since, |_| false, 2);
            let mut records = before["data"].as_array().cloned().unwrap_or_default();
            records.extend(page["data"].as_array().cloned().unwrap_or_default());
            page["data"] = records.into();
            ids.extend(more);
            self.faults += 1;
        }
        if lies && token.is_some() && self.chance("same token", 10) {
            page["next"] = json!(token);
            self.faults += 1;
        }
        self.faults += u64::from(short) + u64::from(old);
        (page, ids)
    }

    fn numbered(&mut self, number: usize) -> (Value, Vec<String>) {
        self.rows.begin(number);
        let slides = self.case.has(Fault::Pages)
            && self.case.feed.is_none()
            && self.chance("slide", 40)
            && self.may_slide();
        self.faults += u64::from(slides);
        let (page, ids) = self.source.numbered(number, usize::from(slides));
        self.rows.shown(number, &ids);
        (page, ids)
    }

    /// Whether a row may slide into a page already read: where only the list can be asked, not twice in a row.
    fn may_slide(&self) -> bool {
        !self.case.vanishes || self.case.gets || self.rows.may_slide(&self.source)
    }

    /// Records change while they are read, most of all one that was just served.
    pub fn stir(&mut self, served: &[String]) {
        let (dice, nth) = (self.case.dice(), self.nth("stirred"));
        let ids = if dice.chance("stir served", nth, 60) && !served.is_empty() {
            served.to_vec()
        } else {
            self.source.ids()
        };
        if let Some(id) = ids.get(dice.roll("stir which", nth, ids.len().max(1) as u64) as usize) {
            let step = dice.roll("stir step", nth, 2);
            let back = dice.chance("stir back", nth, 40);
            self.source.change(id, step, back);
            self.faults += 1;
        }
    }

    /// A record is deleted while the list is read, most of all one that was just served; or one comes back.
    pub fn vanish(&mut self, served: &[String]) {
        let (dice, nth) = (self.case.dice(), self.nth("vanished"));
        self.faults += 1;
        if dice.chance("comes back", nth, 25) {
            return self.source.come_back(nth);
        }
        if !self.may_slide() {
            return;
        }
        let ids = match dice.chance("vanish served", nth, 70) && !served.is_empty() {
            true => served.to_vec(),
            false => self.source.ids(),
        };
        if let Some(id) = ids.get(dice.roll("vanish which", nth, ids.len().max(1) as u64) as usize)
        {
            self.source.vanish(id);
        }
    }

    pub fn read_fault(&mut self, what: &str) -> Option<Fate> {
        let nth = self.nth(what);
        let dice = self.case.dice();
        if !self.trouble || !dice.chance(what, nth, 10) {
            return None;
        }
        let fate = match dice.roll("read fault", nth, 4) {
            0 if self.case.has(Fault::LateReply) => Fate::Hang,
            1 if self.case.has(Fault::Throttled) => throttled(nth),
            2 if self.case.has(Fault::NotCarriedOut) || self.case.has(Fault::Feed) => Fate::Drop,
            _ if self.case.has(Fault::NotCarriedOut) || self.case.has(Fault::Feed) => bad(503),
            _ => return None,
        };
        self.faults += 1;
        Some(fate)
    }

    /// A request to the target.
    pub fn write(&mut self, request: &Request) -> Fate {
        if request.method == "GET" {
            let what = format!("find {:?}", request.query);
            return match self.read_fault(&what) {
                Some(fate) => fate,
                None => answer(self.target.handle(request)),
            };
        }
        if self.killer.passes(Moment::BeforeWrite) {
            return Fate::Hang;
        }
        let before = self.target.deleted.len();
        let fate = match self.refuses(request) {
            true => bad(422),
            false => match self.write_fault(request) {
                Some((fault, nth)) => self.fail(request, fault, nth),
                None => answer(self.target.handle(request)),
            },
        };
        let deleted = self.target.deleted.get(before..).unwrap_or_default();
        let wrong = |id: &&String| !self.source.ever_gone.contains(*id);
        self.wrongly_deleted
            .extend(deleted.iter().filter(wrong).cloned());
        match self.killer.passes(Moment::AfterWrite) {
            true => Fate::Hang,
            false => fate,
        }
    }

    /// Whether the target takes this record for a few writes at most, and then never again, however often and
    /// under whatever key it comes.
    fn is_unwanted(&self, request: &Request) -> bool {
        let about = format!("unwanted {}", request.about());
        let unwanted = self.case.has(Fault::Refused) && self.case.dice().chance(&about, 0, 15);
        unwanted && request.method != "DELETE"
    }

    /// Whether it takes no more of it. This does not end when things go well.
    fn refuses(&mut self, request: &Request) -> bool {
        if !self.is_unwanted(request) {
            return false;
        }
        let about = format!("taken {}", request.about());
        let taken = self.case.dice().roll(&about, 0, 3);
        let refuses = self.nth(&about) > taken;
        self.faults += u64::from(refuses && self.trouble);
        refuses
    }

    /// What goes wrong with this write, if anything.
    fn write_fault(&mut self, request: &Request) -> Option<(Fault, u64)> {
        let what = format!("{} {}", request.method, request.about());
        let nth = self.nth(&what);
        let dice = self.case.dice();
        let unwanted = self.is_unwanted(request);
        let percent = if unwanted { 70 } else { 35 };
        if !self.trouble || !dice.chance(&what, nth, percent) {
            self.slowed = 0;
            return None;
        }
        let all = [
            Fault::LostReply,
            Fault::LateReply,
            Fault::NotCarriedOut,
            Fault::Throttled,
            Fault::Refused,
            Fault::Conflict,
        ];
        let lost = unwanted || matches!(self.case.fault, Fault::Twins | Fault::Clock);
        let active: Vec<Fault> = all
            .into_iter()
            .filter(|f| self.case.has(*f) || (lost && *f == Fault::LostReply))
            .collect();
        let which = dice.roll(&format!("{what} which"), nth, active.len().max(1) as u64);
        let fault = *active.get(which as usize)?;
        self.slowed = (self.slowed + 1) * u32::from(fault == Fault::Throttled);
        (self.slowed <= MOST_SLOWED).then_some((fault, nth))
    }

    fn fail(&mut self, request: &Request, fault: Fault, nth: u64) -> Fate {
        self.faults += 1;
        let what = format!("{fault:?} {}", request.about());
        let kind = self.case.dice().roll(&what, nth, 210);
        let create = !matches!(request.method.as_str(), "PATCH" | "DELETE");
        match fault {
            Fault::LostReply => {
                let _ = self.target.handle(request);
                match kind % 3 {
                    0 => Fate::Drop,
                    1 => bad(500),
                    _ if create && self.case.guarantee != Guarantee::Repeatable => {
                        answer((201, json!({"ok": true})))
                    }
                    _ => bad(504),
                }
            }
            Fault::LateReply => {
                if kind.is_multiple_of(2) {
                    let _ = self.target.handle(request);
                }
                Fate::Hang
            }
            Fault::NotCarriedOut => {
                if request.method == "POST"
                    && self.case.guarantee == Guarantee::Searchable
                    && !self.case.twins
                    && kind.is_multiple_of(3)
                {
                    self.by_hand(&request.about());
                }
                [
                    Fate::Drop,
                    bad(408),
                    bad(425),
                    bad(500),
                    bad(502),
                    bad(503),
                    bad(504),
                ]
                .into_iter()
                .nth(kind as usize % 7)
                .unwrap_or(Fate::Drop)
            }
            Fault::Throttled => throttled(kind),
            Fault::Refused => bad([400, 403, 413, 415, 422][kind as usize % 5]),
            _ if create => bad([409, 412][kind as usize % 2]),
            _ => match kind % 4 {
                0 => bad(409),
                1 => bad(412),
                gone => {
                    self.target.remove(&request.rest.join("/"));
                    bad(if gone == 2 { 404 } else { 410 })
                }
            },
        }
    }

    /// Somebody makes the record that was just refused.
    fn by_hand(&mut self, external: &str) {
        if self.target.find(external).is_none() {
            let content = json!({"external_ref": external, "name": "made by hand"});
            let content = content.as_object().cloned().unwrap_or_default();
            self.target.add(content);
        }
    }
}

fn throttled(kind: u64) -> Fate {
    let (status, headers) = match kind % 3 {
        0 => (429, vec![("retry-after", "0.003")]),
        1 => (503, vec![("retry-after", "0.003")]),
        _ => (
            403,
            vec![
                ("x-ratelimit-remaining", "0"),
                ("x-ratelimit-reset", "0.003"),
            ],
        ),
    };
    Fate::Answer((status, json!({"error": "slower"})), headers)
}

fn answer(answer: Answer) -> Fate {
    Fate::Answer(answer, vec![])
}

pub fn good(body: Value) -> Fate {
    answer((200, body))
}

pub fn bad(status: u16) -> Fate {
    answer((status, json!({"error": "on purpose"})))
}
