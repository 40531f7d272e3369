//! Host calls that read blocks, and read and write the rule's state.

use super::gas;
use super::guest::Guest;
use super::question::{Answer, Ask, Given, Question};
use super::session::{Reply, Session, Stopped};
use crate::limits::{MAX_KEY_BYTES, MAX_READ_BYTES, MAX_VALUE_BYTES, MAX_WRITES};
use crate::verdict::Fault;

/// What a call that reads returns when there is nothing.
const ABSENT: i32 = -1;

impl Session {
    /// `get_block(index, out, cap) -> i32`: a block before the entry.
    ///
    /// # Errors
    ///
    /// The kind of call, bounds, gas or limits.
    pub fn get_block(
        &mut self,
        guest: &mut Guest<'_>,
        index: i64,
        out: i32,
        cap: i32,
    ) -> Result<Reply, Stopped> {
        let name = "get_block";
        self.allow(name, self.kind.may_read_blocks())?;
        let out = self.range(name, guest, out, cap)?;
        self.pay(guest, gas::GET_BLOCK, 0, 0)?;
        let index = index.cast_unsigned();
        if index >= self.index {
            return Ok(Reply::Done(ABSENT));
        }
        Ok(Reply::Ask(Question(Ask::Block { index, out })))
    }

    /// `state_get(key, key length, out, cap) -> i32`: the value of a key, with the writes of this call.
    ///
    /// # Errors
    ///
    /// Bounds, gas or limits.
    pub fn state_get(
        &mut self,
        guest: &mut Guest<'_>,
        key: i32,
        key_len: i32,
        out: i32,
        cap: i32,
    ) -> Result<Reply, Stopped> {
        let name = "state_get";
        let key = self.range(name, guest, key, key_len)?;
        let out = self.range(name, guest, out, cap)?;
        self.pay(guest, gas::STATE_GET, gas::BYTE, key.len())?;
        self.at_most("a key", key.len(), MAX_KEY_BYTES)?;
        let key = guest.bytes(&key).to_vec();
        match self.overlay.get(&key).map(|value| value.map(<[u8]>::to_vec)) {
            Some(value) => self.value(guest, value.as_deref(), &out).map(Reply::Done),
            None => Ok(Reply::Ask(Question(Ask::Value { key, out }))),
        }
    }

    /// `state_set(key, key length, value, value length)`.
    ///
    /// # Errors
    ///
    /// The kind of call, bounds, gas, limits or the quota.
    pub fn state_set(
        &mut self,
        guest: &mut Guest<'_>,
        key: i32,
        key_len: i32,
        value: i32,
        value_len: i32,
    ) -> Result<Reply, Stopped> {
        self.write("state_set", guest, (key, key_len), Some((value, value_len)))
    }

    /// `state_del(key, key length)`.
    ///
    /// # Errors
    ///
    /// The kind of call, bounds, gas or limits.
    pub fn state_del(&mut self, guest: &mut Guest<'_>, key: i32, key_len: i32) -> Result<Reply, Stopped> {
        self.write("state_del", guest, (key, key_len), None)
    }

    /// Goes on with what the host says.
    ///
    /// # Errors
    ///
    /// Gas, limits or the quota; and whatever the host is unable to.
    pub fn answer(&mut self, guest: &mut Guest<'_>, answer: Answer) -> Result<i32, Stopped> {
        match answer.0 {
            Given::Block { block, out } => self.copied(guest, &block, &out),
            Given::Value { key, value, out } => {
                self.read.insert(key, value.as_ref().map(Vec::len));
                self.value(guest, value.as_deref(), &out)
            }
            Given::Replaced { key, value, old_len, usage } => {
                if let Some(usage) = usage {
                    self.overlay.begin(usage);
                }
                self.pay(guest, 0, gas::BYTE, old_len.unwrap_or(0))?;
                match self.overlay.put(key, value, old_len) {
                    Ok(()) => Ok(0),
                    Err(over) => {
                        let found = format!("{} bytes in {} keys", over.0.bytes, over.0.keys);
                        Err(self.fault(Fault::Quota, found))
                    }
                }
            }
            Given::Unable(why) => Err(self.unable(why)),
        }
    }

    fn write(
        &mut self,
        name: &str,
        guest: &mut Guest<'_>,
        (key, key_len): (i32, i32),
        value: Option<(i32, i32)>,
    ) -> Result<Reply, Stopped> {
        self.allow(name, self.kind.may_write())?;
        let key = self.range(name, guest, key, key_len)?;
        let value = value.map(|(value, len)| self.range(name, guest, value, len)).transpose()?;
        let value_len = value.as_ref().map_or(0, ExactSizeIterator::len);
        let keyed = gas::STATE_WRITE.saturating_add(gas::BYTE.saturating_mul(key.len() as u64));
        self.pay(guest, keyed, gas::WRITTEN_BYTE, value_len)?;
        self.at_most("a key", key.len(), MAX_KEY_BYTES)?;
        self.at_most("a value", value_len, MAX_VALUE_BYTES)?;
        self.writes = self.writes.saturating_add(1);
        if self.writes > MAX_WRITES {
            return Err(self.fault(Fault::Limit, format!("more than {MAX_WRITES} writes")));
        }
        let key = guest.bytes(&key).to_vec();
        let value = value.map(|value| guest.bytes(&value).to_vec());
        let written = self.overlay.get(&key).map(|old| old.map(<[u8]>::len));
        let known = written.or_else(|| self.read.get(&key).copied());
        match known {
            Some(old_len) if self.overlay.knows_usage() => {
                let given = Given::Replaced { key, value, old_len, usage: None };
                self.answer(guest, Answer(given)).map(Reply::Done)
            }
            known => {
                let usage_too = !self.overlay.knows_usage();
                Ok(Reply::Ask(Question(Ask::Replaced { key, value, known, usage_too })))
            }
        }
    }

    fn value(
        &mut self,
        guest: &mut Guest<'_>,
        value: Option<&[u8]>,
        out: &std::ops::Range<usize>,
    ) -> Result<i32, Stopped> {
        value.map_or(Ok(ABSENT), |value| self.copied(guest, value, out))
    }

    /// Copies as much as there is room for, and returns the whole length.
    fn copied(
        &mut self,
        guest: &mut Guest<'_>,
        bytes: &[u8],
        out: &std::ops::Range<usize>,
    ) -> Result<i32, Stopped> {
        self.pay(guest, 0, gas::BYTE, bytes.len())?;
        let len = bytes.len().min(out.len()) as u64;
        let reads = self.reads.saturating_add(len);
        if reads > MAX_READ_BYTES {
            return Err(self.fault(Fault::Limit, format!("{reads} bytes read, at most {MAX_READ_BYTES}")));
        }
        self.reads = reads;
        guest.write(out, bytes);
        Ok(i32::try_from(bytes.len()).unwrap_or(i32::MAX))
    }

    fn allow(&mut self, name: &str, allowed: bool) -> Result<(), Stopped> {
        if allowed {
            Ok(())
        } else {
            Err(self.fault(Fault::NotAllowed, format!("{name} in {}", self.kind.export())))
        }
    }

    fn at_most(&mut self, what: &str, found: usize, limit: usize) -> Result<(), Stopped> {
        if found <= limit {
            return Ok(());
        }
        Err(self.fault(Fault::Limit, format!("{what} of {found} bytes, at most {limit}")))
    }
}
