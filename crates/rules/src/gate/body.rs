//! The limits of one function body.

use wasmparser::{
    FuncToValidate, FuncValidator, FuncValidatorAllocations, FunctionBody, Operator, ValidatorResources,
};

use super::error::{GateError, Limit, at_most};
use super::inspected::BodyFacts;
use crate::limits;

/// Validates a body and counts what is in it.
///
/// # Errors
///
/// The body is not valid or breaks a limit. Work and memory are bounded by the limits.
pub(super) fn inspect(
    function: FuncToValidate<ValidatorResources>,
    body: &FunctionBody<'_>,
    parameters: u32,
    allocations: FuncValidatorAllocations,
) -> Result<(BodyFacts, FuncValidatorAllocations), GateError> {
    let bytes = body.range();
    at_most(Limit::BodyBytes, limits::MAX_BODY_BYTES as u64, bytes.len() as u64, bytes.start)?;
    let mut validator = function.into_validator(allocations);
    let locals = define_locals(&mut validator, body, parameters)?;
    let facts = read_operators(&mut validator, body, locals)?;
    Ok((facts, validator.into_allocations()))
}

/// Counts the locals before they are made: a few bytes can ask for any number of them.
fn define_locals(
    validator: &mut FuncValidator<ValidatorResources>,
    body: &FunctionBody<'_>,
    parameters: u32,
) -> Result<u32, GateError> {
    let mut locals = u64::from(parameters);
    let mut reader = body.get_locals_reader()?;
    for _ in 0..reader.get_count() {
        let offset = reader.original_position();
        let (count, ty) = reader.read()?;
        locals += u64::from(count);
        at_most(Limit::Locals, limits::MAX_LOCALS.into(), locals, offset)?;
        validator.define_locals(offset, count, ty)?;
    }
    at_most(Limit::Locals, limits::MAX_LOCALS.into(), locals, body.range().start)?;
    Ok(u32::try_from(locals).unwrap_or(u32::MAX))
}

fn read_operators(
    validator: &mut FuncValidator<ValidatorResources>,
    body: &FunctionBody<'_>,
    locals: u32,
) -> Result<BodyFacts, GateError> {
    let mut facts = BodyFacts { locals, operators: 0, operands: 0, flow: 0 };
    let (mut targets, mut branches) = (0, 0);
    let mut reader = body.get_operators_reader()?;
    while !reader.eof() {
        let (operator, offset) = reader.read_with_offset()?;
        facts.operators += 1;
        at_most(Limit::BodyOperators, limits::MAX_BODY_OPERATORS.into(), facts.operators.into(), offset)?;
        match &operator {
            Operator::BrTable { targets: table } => {
                targets += u64::from(table.len()) + 1;
                at_most(Limit::BranchTargets, limits::MAX_BRANCH_TARGETS.into(), targets, offset)?;
                branches += 1;
            }
            Operator::Block { .. }
            | Operator::Loop { .. }
            | Operator::If { .. }
            | Operator::Else
            | Operator::BrIf { .. } => branches += 1,
            _ => {}
        }
        facts.flow = u64::from(locals) * branches;
        at_most(Limit::BodyFlow, limits::MAX_BODY_FLOW, facts.flow, offset)?;
        validator.op(offset, &operator)?;
        facts.operands = facts.operands.max(validator.operand_stack_height());
        at_most(Limit::Operands, limits::MAX_OPERANDS.into(), facts.operands.into(), offset)?;
        // The function itself is a frame.
        let nesting = validator.control_stack_height().saturating_sub(1);
        at_most(Limit::Nesting, limits::MAX_NESTING.into(), nesting.into(), offset)?;
    }
    reader.finish()?;
    Ok(facts)
}
