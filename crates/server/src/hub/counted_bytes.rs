//! Shared bytes that are counted in the memory budget for as long as there is a reference to them.
//!
//! The packets that a read brought are a part of a receive buffer, and a reference to a small part keeps the whole
//! buffer in memory. So packets that wait are copied into memory of their own size, once for all readers that wait for
//! them. That memory carries its [`Reservation`], which is released when the last reference is dropped, wherever that
//! happens.

use std::sync::Arc;

use bytes::Bytes;

use crate::budget::{Budget, Kind, OverBudget, Reservation};

/// Estimated bytes that a piece of counted memory takes beside its content, for the allocator and reference counts.
pub(super) const OVERHEAD_BYTES: usize = 128;

/// A piece of memory with its reservation.
struct Counted {
    bytes: Vec<u8>,
    _reservation: Reservation,
}

impl AsRef<[u8]> for Counted {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

/// Turns bytes whose memory is reserved into shared bytes that hold the reservation.
pub(super) fn share(bytes: Vec<u8>, reservation: Reservation) -> Bytes {
    Bytes::from_owner(Counted { bytes, _reservation: reservation })
}

/// Copies bytes into shared memory that is reserved as this kind.
///
/// # Errors
/// [`OverBudget`] where too few bytes are available for it.
pub(super) fn copy(budget: &Arc<Budget>, kind: Kind, bytes: &[u8]) -> Result<Bytes, OverBudget> {
    let reservation = budget.reserve(kind, (bytes.len() + OVERHEAD_BYTES) as u64)?;
    Ok(share(bytes.to_vec(), reservation))
}

/// A counted copy of the bytes that are being pushed, of which several readers keep a slice.
#[derive(Debug)]
pub(super) struct SharedCopy {
    budget: Arc<Budget>,
    kind: Kind,
    /// The bytes that were last copied, and their copy.
    last: Option<(Bytes, Bytes)>,
}

impl SharedCopy {
    /// Without a copy; the first call of [`of`](SharedCopy::of) makes it.
    pub(super) fn new(budget: &Arc<Budget>, kind: Kind) -> SharedCopy {
        SharedCopy { budget: Arc::clone(budget), kind, last: None }
    }

    /// The budget in which copies are counted.
    pub(super) fn budget(&self) -> &Arc<Budget> {
        &self.budget
    }

    /// The copy of these bytes, which is made at the first call and shared by later calls with the same bytes.
    ///
    /// # Errors
    /// [`OverBudget`] where too few bytes are available for it.
    pub(super) fn of(&mut self, original: &Bytes) -> Result<Bytes, OverBudget> {
        if let Some((known, copy)) = &self.last
            && (known.as_ptr(), known.len()) == (original.as_ptr(), original.len())
        {
            return Ok(copy.clone());
        }
        let copy = copy(&self.budget, self.kind, original)?;
        self.last = Some((original.clone(), copy.clone()));
        Ok(copy)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_is_counted_until_its_last_part_is_gone() {
        let budget = Arc::new(Budget::new(10_000));
        let original = Bytes::from(vec![7; 1000]);
        let mut shared = SharedCopy::new(&budget, Kind::Queues);
        let first = shared.of(&original).unwrap();
        let part = shared.of(&original).unwrap().slice(990..);
        let counted = (1000 + OVERHEAD_BYTES) as u64;
        assert_eq!((budget.usage().used_bytes, first.as_ptr()), (counted, shared.of(&original).unwrap().as_ptr()));
        drop((shared, first, original));
        assert_eq!(budget.usage().used_bytes, counted, "ten bytes hold all of it");
        drop(part);
        assert_eq!(budget.usage().used_bytes, 0);
        assert!(copy(&budget, Kind::Queues, &[0; 9000]).is_err());
    }
}
