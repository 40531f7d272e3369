//! Writes the metered body of a function.

use wasm_encoder::{BlockType, Encode, InstructionSink, ValType};
use wasmparser::Result;

use super::schedule::Rate;
use super::segments::{Change, Edit, Flow};
use super::survey::Function;

/// The two globals that the meter adds.
#[derive(Debug, Clone, Copy)]
pub(super) struct Globals {
    pub(super) gas: u32,
    pub(super) depth: u32,
}

/// How a metered function begins and ends.
#[derive(Debug, Clone, Copy)]
pub(super) enum Form {
    /// Its callers pay for it: the body is not wrapped.
    Quiet,
    /// It pays and looks at the depth itself: the body becomes a block of this type.
    Full(BlockType),
}

/// Writes a function, without the length before it.
///
/// # Errors
///
/// None for a body that has passed the gate.
pub(super) fn write(
    module: &[u8],
    function: &Function<'_>,
    flow: &Flow,
    globals: Globals,
    form: Form,
) -> Result<Vec<u8>> {
    let operators = function.body.get_operators_reader()?;
    let locals = function.body.get_locals_reader()?;
    let mut code = Vec::with_capacity(function.body.range().len() * 2);
    (locals.get_count() + 2).encode(&mut code);
    code.extend(module.get(locals.original_position()..operators.original_position()).unwrap_or_default());
    (1, ValType::I64).encode_group(&mut code);
    (1, ValType::I32).encode_group(&mut code);
    let scratch = function.facts.locals;
    let mut writer = Writer { code, globals, scratch, length: scratch + 1, form };
    if matches!(form, Form::Full(_)) {
        writer.prologue(function, flow);
    }
    writer.operators(module, function, &flow.edits)?;
    if matches!(form, Form::Full(_)) {
        writer.epilogue(function, flow);
    }
    Ok(writer.code)
}

/// One declaration of locals.
trait EncodeGroup {
    fn encode_group(self, sink: &mut Vec<u8>);
}

impl EncodeGroup for (u32, ValType) {
    fn encode_group(self, sink: &mut Vec<u8>) {
        self.0.encode(sink);
        self.1.encode(sink);
    }
}

struct Writer {
    code: Vec<u8>,
    globals: Globals,
    /// Local of type i64 that the meter added.
    scratch: u32,
    /// Local of type i32 that the meter added.
    length: u32,
    form: Form,
}

impl Writer {
    fn emit(&mut self) -> InstructionSink<'_> {
        InstructionSink::new(&mut self.code)
    }

    fn prologue(&mut self, function: &Function<'_>, flow: &Flow) {
        let Globals { gas, depth } = self.globals;
        let (scratch, form) = (self.scratch, self.form);
        let mut code = self.emit();
        code.block(BlockType::Empty);
        code.global_get(depth);
        if flow.calls {
            code.i64_const(signed(function.depth())).i64_sub();
            code.local_tee(scratch).global_set(depth).local_get(scratch);
            if flow.reserve > 0 {
                code.i64_const(signed(flow.reserve)).i64_sub();
            }
        } else {
            code.i64_const(signed(function.depth() + flow.reserve)).i64_sub();
        }
        if flow.entry_cost() > 0 {
            code.global_get(gas).i64_const(signed(flow.entry_cost())).i64_sub();
            code.local_tee(scratch).global_set(gas).local_get(scratch).i64_or();
        }
        code.i64_const(0).i64_lt_s().br_if(0);
        if let Form::Full(ty) = form {
            code.block(ty);
        }
    }

    fn epilogue(&mut self, function: &Function<'_>, flow: &Flow) {
        let Globals { gas, depth } = self.globals;
        let mut code = self.emit();
        if flow.calls {
            code.global_get(depth).i64_const(signed(function.depth())).i64_add().global_set(depth);
        }
        code.return_().end();
        // Reached when a check failed. With gas left it was the depth, which may not have been written.
        code.global_get(gas).i64_const(0).i64_ge_s();
        code.if_(BlockType::Empty).i64_const(-1).global_set(depth).end();
        code.unreachable().end();
    }

    /// Copies the operators as they are, but for the edits.
    fn operators(&mut self, module: &[u8], function: &Function<'_>, edits: &[Edit]) -> Result<()> {
        let mut reader = function.body.get_operators_reader()?;
        let mut copied = reader.original_position();
        let mut edits = edits.iter().peekable();
        let mut at = 0;
        while !reader.eof() {
            let start = reader.original_position();
            reader.read()?;
            while let Some(edit) = edits.next_if(|edit| edit.at == at) {
                self.copy(module, copied, start);
                copied = start;
                match edit.what {
                    Change::Charge { cost, checked } => self.charge(cost, checked, edit.nesting),
                    Change::Bulk(rate) => self.bulk(rate, edit.nesting),
                    Change::Return if matches!(self.form, Form::Quiet) => {}
                    Change::Return => {
                        self.emit().br(edit.nesting);
                        copied = reader.original_position();
                    }
                }
            }
            at += 1;
        }
        self.copy(module, copied, reader.original_position());
        Ok(())
    }

    fn copy(&mut self, module: &[u8], from: usize, to: usize) {
        self.code.extend_from_slice(module.get(from..to).unwrap_or_default());
    }

    fn charge(&mut self, cost: u64, checked: bool, nesting: u32) {
        let Globals { gas, .. } = self.globals;
        let scratch = self.scratch;
        let mut code = self.emit();
        code.global_get(gas).i64_const(signed(cost)).i64_sub();
        if checked {
            code.local_tee(scratch).global_set(gas).local_get(scratch);
            self.check(nesting);
        } else {
            code.global_set(gas);
        }
    }

    /// Takes gas for the last operand of an operator, which is on the stack before and after.
    fn bulk(&mut self, rate: Rate, nesting: u32) {
        let Globals { gas, .. } = self.globals;
        let (scratch, length) = (self.scratch, self.length);
        let mut code = self.emit();
        code.local_set(length).global_get(gas).local_get(length).i64_extend_i32_u();
        match rate {
            Rate::Fraction(bits) => code.i64_const(bits.into()).i64_shr_u(),
            Rate::Multiple(bits) => code.i64_const(bits.into()).i64_shl(),
        };
        code.i64_sub().local_tee(scratch).global_set(gas).local_get(scratch);
        self.check(nesting);
        self.emit().local_get(length);
    }

    /// Stops when the number on the stack, the gas that is left, is below zero.
    fn check(&mut self, nesting: u32) {
        let form = self.form;
        let mut code = self.emit();
        code.i64_const(0).i64_lt_s();
        match form {
            Form::Quiet => code.if_(BlockType::Empty).unreachable().end(),
            // Out of the blocks of the body, the block of the body itself, to the end of the one around it.
            Form::Full(_) => code.br_if(nesting + 1),
        };
    }
}

/// Costs and depths of a body are far below 2^63: there are at most 40 000 operators, each below 2^16.
fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
