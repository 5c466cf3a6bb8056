//! Lines as text: one JSON object each.
//!
//! The first line says that it is an export and of which version, the last one how many lines
//! there are and the XXH3-64 of all bytes before it. So neither a file that is cut short nor one
//! that was damaged is taken for a whole one. Whoever makes such a file by hand may leave the
//! checksum out.

use super::{
    Numbered, Transfer, TransferError,
    line::{Line, VERSION},
    order::Order,
};
use serde::{Deserialize, Serialize, de::IgnoredAny};
use std::{
    collections::BTreeMap,
    io::{BufRead, Read, Write},
};
use xxhash_rust::xxh3::Xxh3Default;

/// Bytes of a line at most; bounds the memory that a file without line ends takes.
const LINE_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Characters shown of a kind that is not known.
const KIND_CHARS_SHOWN: usize = 32;

/// Called with the number of every line.
pub type Progress<'a> = dyn FnMut(u64) + 'a;

#[derive(Serialize, Deserialize)]
struct First {
    madang_export: u64,
    #[serde(default)]
    made_by: String,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Last {
    end: bool,
    /// This one included.
    lines: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    xxh3: Option<String>,
}

/// Writes all that `store` holds; returns the number of lines.
///
/// What could not be read back is refused: an export that succeeds is a backup.
pub fn write(
    store: &dyn Transfer,
    out: &mut dyn Write,
    progress: &mut Progress<'_>,
) -> Result<u64, TransferError> {
    let mut writer = Writer { out, lines: 0, hash: Xxh3Default::new(), text: Vec::new() };
    let made_by = env!("CARGO_PKG_VERSION").to_owned();
    writer.write(&First { madang_export: VERSION, made_by })?;
    let mut order = Order::default();
    store.export(&mut |line| {
        order.check(&line).map_err(|reason| contradiction(&line, &reason))?;
        writer.write(&line)?;
        progress(writer.lines);
        Ok(())
    })?;
    order.finish().map_err(TransferError::Contradiction)?;
    let xxh3 = Some(shown(&writer.hash));
    writer.write(&Last { end: true, lines: writer.lines + 1, xxh3 })?;
    writer.out.flush()?;
    Ok(writer.lines)
}

fn contradiction(line: &Line, reason: &str) -> TransferError {
    // The kind alone: the rest may be secret.
    let value = serde_json::to_value(line).unwrap_or_default();
    let kind = value.as_object().and_then(|object| object.keys().next().cloned());
    TransferError::Contradiction(format!("{}: {reason}", kind.unwrap_or_default()))
}

fn shown(hash: &Xxh3Default) -> String {
    format!("{:016x}", hash.digest())
}

struct Writer<'a> {
    out: &'a mut dyn Write,
    lines: u64,
    hash: Xxh3Default,
    text: Vec<u8>,
}

impl Writer<'_> {
    fn write(&mut self, line: &impl Serialize) -> Result<(), TransferError> {
        self.text.clear();
        serde_json::to_writer(&mut self.text, line).map_err(std::io::Error::from)?;
        self.text.push(b'\n');
        self.out.write_all(&self.text)?;
        self.hash.update(&self.text);
        self.lines += 1;
        Ok(())
    }
}

/// Fills `store` with the lines of `from`; returns their number. All or none.
pub fn read(
    store: &dyn Transfer,
    from: &mut dyn BufRead,
    progress: &mut Progress<'_>,
) -> Result<u64, TransferError> {
    let mut reader = Reader {
        from,
        number: 0,
        text: Vec::new(),
        hash: Xxh3Default::new(),
        order: Order::default(),
        progress,
    };
    reader.first()?;
    store.import(&mut reader)?;
    Ok(reader.number)
}

struct Reader<'a, 'p> {
    from: &'a mut dyn BufRead,
    /// Of the line in `text`, from 1.
    number: u64,
    text: Vec<u8>,
    /// Of the lines before it.
    hash: Xxh3Default,
    order: Order,
    progress: &'a mut Progress<'p>,
}

impl Iterator for Reader<'_, '_> {
    type Item = Result<Numbered, TransferError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.line().transpose()
    }
}

impl Reader<'_, '_> {
    fn first(&mut self) -> Result<(), TransferError> {
        if !self.advance()? {
            return Err(self.refused("the file is empty"));
        }
        let First { madang_export: version, .. } = serde_json::from_slice(&self.text)
            .map_err(|_| self.refused("this is not an export of madang"))?;
        if !(1..=VERSION).contains(&version) {
            return Err(self.refused(&format!(
                "the export has version {version}, this madang knows versions up to {VERSION}"
            )));
        }
        Ok(())
    }

    /// The next line; `None` behind the last one.
    fn line(&mut self) -> Result<Option<Numbered>, TransferError> {
        if !self.advance()? {
            self.number += 1;
            return Err(self.refused("the file is cut short: its last line is missing"));
        }
        (self.progress)(self.number);
        let line = match serde_json::from_slice::<Line>(&self.text) {
            Ok(line) => line,
            Err(error) => {
                return match serde_json::from_slice(&self.text) {
                    Ok(last) => self.last(last).map(|()| None),
                    Err(_) => Err(self.refused(&self.diagnosis(&error))),
                };
            }
        };
        self.order.check(&line).map_err(|reason| self.refused(&reason))?;
        Ok(Some(Numbered { number: self.number, line }))
    }

    fn last(&mut self, Last { end, lines, xxh3 }: Last) -> Result<(), TransferError> {
        self.order.finish().map_err(|reason| self.refused(&reason))?;
        if !end || lines != self.number {
            return Err(self.refused(&format!("the file had {lines} lines when it was written")));
        }
        if xxh3.is_some_and(|stated| stated != shown(&self.hash)) {
            return Err(self.refused("the lines before it are not those that were written"));
        }
        if self.advance()? {
            return Err(self.refused("stands behind the end"));
        }
        Ok(())
    }

    /// Reads on; false at the end of the file.
    fn advance(&mut self) -> Result<bool, TransferError> {
        self.hash.update(&self.text);
        self.text.clear();
        let mut bounded = (&mut *self.from).take(LINE_BYTES_MAX as u64 + 1);
        if bounded.read_until(b'\n', &mut self.text)? == 0 {
            return Ok(false);
        }
        self.number += 1;
        if self.text.len() > LINE_BYTES_MAX {
            return Err(self.refused(&format!("longer than {LINE_BYTES_MAX} bytes")));
        }
        Ok(true)
    }

    /// What is wrong with the line. Without the parser's own words, which quote what they found.
    fn diagnosis(&self, error: &serde_json::Error) -> String {
        let column = error.column();
        let Ok(object) = serde_json::from_slice::<BTreeMap<String, IgnoredAny>>(&self.text) else {
            return match self.text.ends_with(b"\n") {
                true => format!("not a JSON object, seen at column {column}"),
                false => "the file is cut short, in the middle of this line".into(),
            };
        };
        match object.keys().next() {
            Some(kind) if Line::KINDS.contains(&kind.as_str()) && object.len() == 1 => {
                format!(
                    "{kind}: a field is missing, not known or unusable, seen at column {column}"
                )
            }
            Some(kind) => {
                let kind: String = kind.chars().take(KIND_CHARS_SHOWN).collect();
                format!("{kind:?} is no kind of line that this madang knows")
            }
            None => "an empty object".into(),
        }
    }

    fn refused(&self, reason: &str) -> TransferError {
        TransferError::Line { number: self.number.max(1), reason: reason.to_owned() }
    }
}
