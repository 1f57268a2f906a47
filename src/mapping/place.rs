//! Puts pieces of JSON into their places of an object, between what was mapped in the usual way, and writes
//! all of it in the order in which the usual way writes it: by name. Pure. Used by `direct`.

use std::cmp::Ordering;

use serde_json::{Map, Value};

/// The places, in an object, of pieces that are known by their number.
#[derive(Debug, Default)]
pub struct Places {
    root: Vec<Place>,
    count: usize,
}

#[derive(Debug)]
struct Place {
    name: String,
    /// `"name":`
    written: String,
    /// The piece that stands here.
    piece: Option<usize>,
    below: Vec<Place>,
}

/// JSON texts for places: from the source, or made for this record.
pub struct Pieces<'t> {
    pieces: Vec<Option<Piece<'t>>>,
    made: Vec<u8>,
}

enum Piece<'t> {
    Text(&'t [u8]),
    /// From here to there in what was made.
    Made(usize, usize),
}

impl<'t> Pieces<'t> {
    pub fn text(&mut self, place: usize, text: &'t [u8]) {
        self.pieces[place] = Some(Piece::Text(text));
    }

    /// `None`: it cannot be written.
    pub fn value(&mut self, place: usize, value: &impl serde::Serialize) -> Option<()> {
        let start = self.made.len();
        serde_json::to_writer(&mut self.made, value).ok()?;
        self.pieces[place] = Some(Piece::Made(start, self.made.len()));
        Some(())
    }

    fn get(&self, place: usize) -> Option<&[u8]> {
        Some(match self.pieces[place].as_ref()? {
            Piece::Text(text) => text,
            Piece::Made(start, end) => &self.made[*start..*end],
        })
    }
}

impl Places {
    /// Adds places at the ends of these names; answers the number of the first. No place may be another's
    /// or inside of one.
    pub fn add<'n>(&mut self, names: impl Iterator<Item = Vec<&'n str>>) -> usize {
        let first = self.count;
        for names in names {
            insert(&mut self.root, self.count, &names);
            self.count += 1;
        }
        first
    }

    /// Pieces for all places, none there yet.
    pub fn pieces<'t>(&self) -> Pieces<'t> {
        Pieces {
            pieces: (0..self.count).map(|_| None).collect(),
            made: Vec::with_capacity(256),
        }
    }

    /// Writes `out` with the pieces that are there. `None`: it cannot be written.
    pub fn write(
        &self,
        json: &mut Vec<u8>,
        out: &Map<String, Value>,
        pieces: &Pieces<'_>,
    ) -> Option<()> {
        object(json, &self.root, Some(out), pieces)
    }
}

fn insert(level: &mut Vec<Place>, piece: usize, names: &[&str]) {
    let [name, rest @ ..] = names else { return };
    let at = match level.binary_search_by(|place| (*place.name).cmp(name)) {
        Ok(at) => at,
        Err(at) => {
            let place = Place {
                name: (*name).to_owned(),
                written: format!("{}:", Value::from(*name)),
                piece: None,
                below: Vec::new(),
            };
            level.insert(at, place);
            at
        }
    };
    if rest.is_empty() {
        level[at].piece = Some(piece);
    } else {
        insert(&mut level[at].below, piece, rest);
    }
}

impl Place {
    /// Whether a piece is here or below.
    fn holds(&self, pieces: &Pieces<'_>) -> bool {
        match self.piece {
            Some(piece) => pieces.pieces[piece].is_some(),
            None => self.below.iter().any(|place| place.holds(pieces)),
        }
    }

    fn write(
        &self,
        json: &mut Vec<u8>,
        own: Option<&Map<String, Value>>,
        pieces: &Pieces<'_>,
    ) -> Option<()> {
        comma(json);
        json.extend_from_slice(self.written.as_bytes());
        match self.piece.and_then(|piece| pieces.get(piece)) {
            Some(text) => json.extend_from_slice(text),
            None => object(json, &self.below, own, pieces)?,
        }
        Some(())
    }
}

fn object(
    json: &mut Vec<u8>,
    places: &[Place],
    own: Option<&Map<String, Value>>,
    pieces: &Pieces<'_>,
) -> Option<()> {
    json.push(b'{');
    let mut own = own.into_iter().flatten().peekable();
    let mut places = places.iter().filter(|p| p.holds(pieces)).peekable();
    loop {
        let order = match (places.peek(), own.peek()) {
            (None, None) => break,
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (Some(place), Some((name, _))) => place.name.cmp(name),
        };
        let place = places.next_if(|_| order != Ordering::Greater);
        let value = own.next_if(|_| order != Ordering::Less);
        match (place, value) {
            (Some(place), None) => place.write(json, None, pieces)?,
            (Some(place), Some((_, Value::Object(map)))) => place.write(json, Some(map), pieces)?,
            (None, Some((name, value))) => {
                comma(json);
                serde_json::to_writer(&mut *json, name).ok()?;
                json.push(b':');
                serde_json::to_writer(&mut *json, value).ok()?;
            }
            // A value stands where an object of pieces should be.
            (Some(_), Some(_)) | (None, None) => return None,
        }
    }
    json.push(b'}');
    Some(())
}

fn comma(json: &mut Vec<u8>) {
    if json.last() != Some(&b'{') {
        json.push(b',');
    }
}
