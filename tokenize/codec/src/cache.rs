//! Ids of pre-tokens met lately.

/// Slots; a power of two. At 64 bytes each a cache takes 2 MiB.
const NUM_SLOTS: usize = 1 << 15;

/// Longest pre-token kept, in bytes.
const MAX_BYTES: usize = 22;

/// Longest encoding kept, in tokens.
const MAX_IDS: usize = 10;

/// A direct-mapped cache: a pre-token has one place, and the last to come stays. Its size is fixed, and no text can
/// make it slow.
pub(crate) struct Cache {
    slots: Vec<Slot>,
}

/// One pre-token with its ids; `num_bytes` of zero is an empty slot.
#[derive(Clone, Copy)]
struct Slot {
    ids: [u32; MAX_IDS],
    bytes: [u8; MAX_BYTES],
    num_ids: u8,
    num_bytes: u8,
}

impl Cache {
    /// An empty cache.
    pub(crate) fn new() -> Self {
        let empty = Slot { ids: [0; MAX_IDS], bytes: [0; MAX_BYTES], num_ids: 0, num_bytes: 0 };
        Self { slots: vec![empty; NUM_SLOTS] }
    }

    /// The ids of `pretoken`, if they are kept.
    pub(crate) fn get(&self, pretoken: &[u8]) -> Option<&[u32]> {
        let slot = &self.slots[place(pretoken)];
        (slot.bytes.get(..usize::from(slot.num_bytes)) == Some(pretoken) && slot.num_bytes > 0)
            .then(|| &slot.ids[..usize::from(slot.num_ids)])
    }

    /// Keeps the ids of `pretoken`, if both are short enough.
    pub(crate) fn put(&mut self, pretoken: &[u8], ids: &[u32]) {
        let (Ok(num_bytes), Ok(num_ids)) = (pretoken.len().try_into(), ids.len().try_into()) else {
            return;
        };
        let slot = &mut self.slots[place(pretoken)];
        if pretoken.len() <= MAX_BYTES && ids.len() <= MAX_IDS {
            slot.bytes[..pretoken.len()].copy_from_slice(pretoken);
            slot.ids[..ids.len()].copy_from_slice(ids);
            (slot.num_bytes, slot.num_ids) = (num_bytes, num_ids);
        }
    }
}

/// The slot of `pretoken`: FNV-1a, folded, since the low bits are the weakest.
fn place(pretoken: &[u8]) -> usize {
    let hash = pretoken.iter().take(MAX_BYTES + 1).fold(0xCBF2_9CE4_8422_2325u64, |hash, &byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01B3)
    });
    let folded = (hash ^ hash >> 32) & (NUM_SLOTS as u64 - 1);
    usize::try_from(folded).expect("below the number of slots")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slot_fills_a_cache_line() {
        assert_eq!(size_of::<Slot>(), 64);
    }

    #[test]
    fn what_is_put_is_got_while_it_fits() {
        let mut cache = Cache::new();
        let check = |cache: &mut Cache, bytes: usize, ids: usize, kept: bool| {
            let (pretoken, ids) = (vec![b'x'; bytes], vec![7; ids]);
            cache.put(&pretoken, &ids);
            assert_eq!(cache.get(&pretoken), kept.then_some(&ids[..]), "{bytes}");
        };
        check(&mut cache, 1, 1, true);
        check(&mut cache, MAX_BYTES, MAX_IDS, true);
        check(&mut cache, MAX_BYTES + 1, 1, false);
        check(&mut cache, 9, MAX_IDS + 1, false);
        check(&mut cache, 300, 300, false);
        assert_eq!(cache.get(b"y"), None);
    }
}
