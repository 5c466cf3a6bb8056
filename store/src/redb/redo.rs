//! What a transaction wrote, as bytes from which it can be written again.
//!
//! ```text
//! | what, 1 byte | table's name | key | record |      each of the three behind its length, 4 bytes
//! ```
//!
//! Doing it again over a part of it, or over all of it, changes nothing: each step says what there is
//! afterwards, not what is added.

use crate::StoreError;

/// What is kept at most. A transaction that wrote more is not worth writing twice.
const REDO_BYTES_MAX: usize = 128 * 1024;

/// The steps of one transaction, in their order.
#[derive(Debug, Default)]
pub(super) struct Redo {
    bytes: Vec<u8>,
    /// It was more than is kept.
    is_over: bool,
}

/// One of them.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Step<'a> {
    /// `record` stands under `key`.
    Put { table: &'a str, key: &'a [u8], record: &'a [u8] },
    /// Nothing stands under `key`.
    Remove { table: &'a str, key: &'a [u8] },
    /// Nothing stands under any key that begins with `prefix`.
    RemovePrefix { table: &'a str, prefix: &'a [u8] },
}

const PUT: u8 = 1;
const REMOVE: u8 = 2;
const REMOVE_PREFIX: u8 = 3;

impl<'a> Step<'a> {
    /// The name of the table it is about.
    pub(super) fn table(&self) -> &'a str {
        match *self {
            Self::Put { table, .. }
            | Self::Remove { table, .. }
            | Self::RemovePrefix { table, .. } => table,
        }
    }
}

impl Redo {
    /// Adds a step.
    pub(super) fn note(&mut self, step: &Step<'_>) {
        let (what, table, key, record) = match *step {
            Step::Put { table, key, record } => (PUT, table, key, record),
            Step::Remove { table, key } => (REMOVE, table, key, &[][..]),
            Step::RemovePrefix { table, prefix } => (REMOVE_PREFIX, table, prefix, &[][..]),
        };
        let parts = [table.as_bytes(), key, record];
        let length = parts.iter().map(|part| size_of::<u32>() + part.len()).sum::<usize>();
        self.is_over |= self.bytes.len() + 1 + length > REDO_BYTES_MAX;
        if self.is_over {
            self.bytes = Vec::new();
            return;
        }
        self.bytes.push(what);
        for part in parts {
            // Lossless: none is longer than all may be together.
            self.bytes.extend_from_slice(&(part.len() as u32).to_le_bytes());
            self.bytes.extend_from_slice(part);
        }
    }

    /// All steps; `None`: they were too many.
    pub(super) fn bytes(&self) -> Option<&[u8]> {
        (!self.is_over).then_some(&self.bytes)
    }
}

/// The steps in `bytes`.
pub(super) fn steps(mut bytes: &[u8]) -> impl Iterator<Item = Result<Step<'_>, StoreError>> {
    std::iter::from_fn(move || {
        if bytes.is_empty() {
            return None;
        }
        let step = take_step(&mut bytes);
        if step.is_none() {
            bytes = &[];
        }
        Some(step.ok_or_else(not_understood))
    })
}

/// What another version wrote, since checksums tell damage.
pub(super) fn not_understood() -> StoreError {
    StoreError::Damaged { table: "journal", detail: "a step is not understood".into() }
}

fn take_step<'a>(bytes: &mut &'a [u8]) -> Option<Step<'a>> {
    let (&what, rest) = bytes.split_first()?;
    *bytes = rest;
    let table = std::str::from_utf8(take_part(bytes)?).ok()?;
    let (key, record) = (take_part(bytes)?, take_part(bytes)?);
    match what {
        PUT => Some(Step::Put { table, key, record }),
        REMOVE => Some(Step::Remove { table, key }),
        REMOVE_PREFIX => Some(Step::RemovePrefix { table, prefix: key }),
        _ => None,
    }
}

fn take_part<'a>(bytes: &mut &'a [u8]) -> Option<&'a [u8]> {
    let (length, rest) = bytes.split_first_chunk()?;
    let (part, rest) = rest.split_at_checked(u32::from_le_bytes(*length) as usize)?;
    *bytes = rest;
    Some(part)
}

#[cfg(test)]
mod tests {
    use super::*;

    const STEPS: [Step<'_>; 3] = [
        Step::Put { table: "messages", key: b"key", record: b"record" },
        Step::Remove { table: "bans", key: b"" },
        Step::RemovePrefix { table: "members", prefix: b"room" },
    ];

    fn noted() -> Redo {
        let mut redo = Redo::default();
        STEPS.iter().for_each(|step| redo.note(step));
        redo
    }

    #[test]
    fn steps_and_back() {
        let redo = noted();
        let found: Result<Vec<_>, _> = steps(redo.bytes().unwrap()).collect();
        assert_eq!(found.unwrap(), STEPS);
    }

    #[test]
    fn what_is_cut_short_or_unknown_is_an_error() {
        let redo = noted();
        let whole = redo.bytes().unwrap();
        for length in 1..whole.len() {
            let read = steps(&whole[..length]).collect::<Vec<_>>();
            let is_whole_steps =
                STEPS.iter().zip(&read).all(|(step, read)| read.as_ref() == Ok(step));
            assert!(is_whole_steps || read.last().unwrap().is_err(), "{length}");
            assert!(read.len() <= STEPS.len());
        }
        let unknown = [&[9], &whole[1..]].concat();
        assert_eq!(steps(&unknown).collect::<Vec<_>>(), [Err(not_understood())]);
    }

    #[test]
    fn more_than_is_kept_is_not_kept_in_part() {
        let mut redo = noted();
        let record = [0; REDO_BYTES_MAX];
        redo.note(&Step::Put { table: "messages", key: b"key", record: &record });
        assert_eq!(redo.bytes(), None);
        redo.note(&STEPS[0]);
        assert_eq!(redo.bytes(), None);
    }
}
