//! One event of a room on its way to its readers.

use crate::metrics::Sent;
use bytes::Bytes;
use madang_protocol::{Place, UserId, codec::Codec, frame::NodeFrame};
use std::sync::{Arc, OnceLock};

/// An event of a room, encoded for all who get it. Shared by the hubs: a frame is encoded when the
/// first reader needs it, at most once a codec, and then costs a reader one more reference.
#[derive(Debug)]
pub struct Item {
    /// Its place, for a message.
    pub(super) seq: Option<u64>,
    /// What it took, for a change of a message.
    rev: Option<u64>,
    /// For everybody.
    frame: Frame,
    /// For the connections of one user, another frame.
    own: Option<(UserId, Frame)>,
    /// This user is out of the room; the frame is the last its connections get from there.
    pub(super) ends: Option<UserId>,
    /// Its readers can do without it.
    pub(super) is_ephemeral: bool,
    /// It need not be written for its own sake.
    pub(super) is_patient: bool,
    /// What its frames are.
    pub(super) what: Sent,
}

impl Item {
    /// The same frame for everybody.
    pub fn new(frame: NodeFrame) -> Self {
        let (what, frame) = (Sent::of(&frame), Frame::new(frame));
        Self {
            seq: None,
            rev: None,
            frame,
            own: None,
            ends: None,
            is_ephemeral: false,
            is_patient: false,
            what,
        }
    }

    /// It has this place in the room's sequence: readers that are beyond it do not get it again,
    /// and it is kept for those who attach.
    pub fn at(self, seq: u64) -> Self {
        Self { seq: Some(seq), ..self }
    }

    /// It is the change that took this `rev`: readers that are beyond it do not get it again.
    pub fn changed_at(self, rev: u64) -> Self {
        Self { rev: Some(rev), ..self }
    }

    /// The connections of `user` get this instead: a sender sees its own `client_id`.
    pub fn own(self, user: UserId, frame: NodeFrame) -> Self {
        Self { own: Some((user, Frame::new(frame))), ..self }
    }

    /// It is the last that the connections of `user` get from the room.
    pub fn ending(self, user: UserId) -> Self {
        Self { ends: Some(user), ..self }
    }

    /// A reader whose out-queue is full goes without it.
    pub fn ephemeral(self) -> Self {
        Self { is_ephemeral: true, ..self }
    }

    /// It waits for what is written to its reader next; a quarter of a second and a tick at most.
    pub fn patient(self) -> Self {
        Self { is_patient: true, ..self }
    }

    /// Its place, for a message.
    pub fn seq(&self) -> Option<u64> {
        self.seq
    }

    /// Bytes it holds at most, once all its frames are there in one codec. Of messages only:
    /// nothing else is kept.
    pub fn message_bytes_max(&self) -> usize {
        let own = self.own.as_ref().map_or(0, |(_, frame)| frame.message_bytes_max());
        size_of::<Self>() + self.frame.message_bytes_max() + own
    }

    /// One who stands there lacks it.
    pub(super) fn is_news_at(&self, place: Place) -> bool {
        self.seq.is_none_or(|seq| seq > place.seq) && self.rev.is_none_or(|rev| rev > place.rev)
    }

    /// Where one stands who stood at `place` and got it.
    pub(super) fn leads_to(&self, place: Place) -> Place {
        let Place { seq, rev } = place;
        Place { seq: seq.max(self.seq.unwrap_or(0)), rev: rev.max(self.rev.unwrap_or(0)) }
    }

    pub(super) fn bytes_for(&self, user: UserId, codec: Codec) -> &Bytes {
        match &self.own {
            Some((own, frame)) if *own == user => frame.bytes(codec),
            _ => self.frame.bytes(codec),
        }
    }
}

/// A frame and what it is in each codec, by the codec's place in [`Codec::ALL`].
#[derive(Debug)]
struct Frame {
    frame: NodeFrame,
    encoded: [OnceLock<Bytes>; Codec::ALL.len()],
}

impl Frame {
    fn new(frame: NodeFrame) -> Self {
        Self { frame, encoded: Default::default() }
    }

    /// Whoever comes first encodes; another thread that comes meanwhile waits for it, some
    /// microseconds, instead of doing it again.
    fn bytes(&self, codec: Codec) -> &Bytes {
        self.encoded[codec as usize].get_or_init(|| codec.encode(&self.frame))
    }

    fn message_bytes_max(&self) -> usize {
        match &self.frame {
            NodeFrame::Message(message) | NodeFrame::Changed(message) => {
                message.encoded_bytes_max()
            }
            _ => 0,
        }
    }
}

#[cfg(test)]
impl Item {
    /// Everybody gets these bytes, in any codec.
    pub(super) fn of_bytes(bytes: Bytes) -> Self {
        Self::new(NodeFrame::PingOk { id: 0, server_time: 0 }).preset(bytes)
    }

    /// The connections of `user` get these bytes instead.
    pub(super) fn own_bytes(self, user: UserId, bytes: Bytes) -> Self {
        Self { own: Some((user, Self::of_bytes(bytes).frame)), ..self }
    }

    fn preset(self, bytes: Bytes) -> Self {
        self.frame.encoded.iter().for_each(|cell| cell.set(bytes.clone()).expect("empty"));
        self
    }

    /// How many frames were encoded.
    pub(super) fn encoded(&self) -> usize {
        let frames = [Some(&self.frame), self.own.as_ref().map(|(_, frame)| frame)];
        let cells = frames.into_iter().flatten().flat_map(|frame| &frame.encoded);
        cells.filter(|cell| cell.get().is_some()).count()
    }
}

/// Items as hubs and audiences share them.
pub type Items = Vec<Arc<Item>>;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_is_encoded_for_the_first_who_needs_it_and_shared() {
        let (ann, ben) = (UserId([1; 15]), UserId([2; 15]));
        let frame = |id| NodeFrame::PingOk { id, server_time: 0 };
        let item = Item::new(frame(1)).own(ann, frame(2));
        assert_eq!(item.encoded(), 0);
        for codec in Codec::ALL {
            let before = item.encoded();
            let first = item.bytes_for(ben, codec).clone();
            assert_eq!(item.encoded(), before + 1);
            assert_eq!(item.bytes_for(UserId([3; 15]), codec).as_ptr(), first.as_ptr());
            assert_eq!((first, item.encoded()), (codec.encode(&frame(1)), before + 1));
            assert_eq!(item.bytes_for(ann, codec), &codec.encode(&frame(2)));
        }
        assert_eq!(item.encoded(), 2 * Codec::ALL.len());
    }
}
