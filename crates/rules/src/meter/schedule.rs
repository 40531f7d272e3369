//! What operators cost: the gas schedule of METER v1. `docs/rules/meter-v1.md` has the same table.

use wasmparser::Operator;

/// Segments that cost at most this are paid with the segment from which they are reached.
pub(super) const FOLD_COST: u64 = 16;

/// Segments that cost at least this stop when the gas is used up, wherever they are.
pub(super) const CHECKED_COST: u64 = 64;

/// Most operators of a function that its callers pay for.
pub(super) const QUIET_OPERATORS: u32 = 64;

/// Depth that a call adds on top of what is counted in the body.
pub(super) const CALL_DEPTH: u64 = 4;

/// What an operator costs in proportion to its last operand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rate {
    /// The operand divided by two to this power, rounded down.
    Fraction(u8),
    /// The operand times two to this power.
    Multiple(u8),
}

/// Returns what an operator always costs.
pub(super) fn cost(operator: &Operator<'_>) -> u64 {
    use Operator as O;
    match operator {
        O::Block { .. } | O::Loop { .. } | O::Else | O::End | O::Nop => 0,
        O::BrTable { .. } => 4,
        O::Call { .. } => 6,
        O::CallIndirect { .. } => 12,
        O::TableGet { .. } | O::TableSet { .. } | O::RefFunc { .. } => 8,
        O::MemoryCopy { .. } | O::MemoryFill { .. } | O::MemoryInit { .. } | O::DataDrop { .. } => 32,
        O::TableCopy { .. } | O::TableFill { .. } | O::TableInit { .. } | O::ElemDrop { .. } => 32,
        O::MemoryGrow { .. } | O::TableGrow { .. } => 256,
        operator if is_division(operator) => 12,
        operator if is_float_arithmetic(operator) => 4,
        operator if is_float_comparison(operator) || is_memory_access(operator) => 2,
        _ => 1,
    }
}

/// Returns what an operator costs on top, if that depends on its last operand.
pub(super) fn rate(operator: &Operator<'_>) -> Option<Rate> {
    use Operator as O;
    match operator {
        O::MemoryCopy { .. } | O::MemoryFill { .. } | O::MemoryInit { .. } => Some(Rate::Fraction(3)),
        O::TableCopy { .. } | O::TableFill { .. } | O::TableInit { .. } => Some(Rate::Multiple(3)),
        O::TableGrow { .. } => Some(Rate::Multiple(4)),
        O::MemoryGrow { .. } => Some(Rate::Multiple(13)),
        _ => None,
    }
}

fn is_division(operator: &Operator<'_>) -> bool {
    use Operator as O;
    matches!(
        operator,
        O::I32DivS
            | O::I32DivU
            | O::I32RemS
            | O::I32RemU
            | O::I64DivS
            | O::I64DivU
            | O::I64RemS
            | O::I64RemU
            | O::F32Div
            | O::F64Div
            | O::F32Sqrt
            | O::F64Sqrt
    )
}

/// Arithmetic, rounding and conversions: an engine also makes their not-a-numbers canonical.
fn is_float_arithmetic(operator: &Operator<'_>) -> bool {
    use Operator as O;
    matches!(
        operator,
        O::F32Add
            | O::F32Sub
            | O::F32Mul
            | O::F32Min
            | O::F32Max
            | O::F32Ceil
            | O::F32Floor
            | O::F32Trunc
            | O::F32Nearest
            | O::F64Add
            | O::F64Sub
            | O::F64Mul
            | O::F64Min
            | O::F64Max
            | O::F64Ceil
            | O::F64Floor
            | O::F64Trunc
            | O::F64Nearest
            | O::I32TruncF32S
            | O::I32TruncF32U
            | O::I32TruncF64S
            | O::I32TruncF64U
            | O::I64TruncF32S
            | O::I64TruncF32U
            | O::I64TruncF64S
            | O::I64TruncF64U
            | O::I32TruncSatF32S
            | O::I32TruncSatF32U
            | O::I32TruncSatF64S
            | O::I32TruncSatF64U
            | O::I64TruncSatF32S
            | O::I64TruncSatF32U
            | O::I64TruncSatF64S
            | O::I64TruncSatF64U
            | O::F32ConvertI32S
            | O::F32ConvertI32U
            | O::F32ConvertI64S
            | O::F32ConvertI64U
            | O::F32DemoteF64
            | O::F64ConvertI32S
            | O::F64ConvertI32U
            | O::F64ConvertI64S
            | O::F64ConvertI64U
            | O::F64PromoteF32
    )
}

fn is_float_comparison(operator: &Operator<'_>) -> bool {
    use Operator as O;
    matches!(
        operator,
        O::F32Eq
            | O::F32Ne
            | O::F32Lt
            | O::F32Gt
            | O::F32Le
            | O::F32Ge
            | O::F64Eq
            | O::F64Ne
            | O::F64Lt
            | O::F64Gt
            | O::F64Le
            | O::F64Ge
            | O::F32Abs
            | O::F32Neg
            | O::F32Copysign
            | O::F64Abs
            | O::F64Neg
            | O::F64Copysign
    )
}

fn is_memory_access(operator: &Operator<'_>) -> bool {
    use Operator as O;
    matches!(
        operator,
        O::I32Load { .. }
            | O::I64Load { .. }
            | O::F32Load { .. }
            | O::F64Load { .. }
            | O::I32Load8S { .. }
            | O::I32Load8U { .. }
            | O::I32Load16S { .. }
            | O::I32Load16U { .. }
            | O::I64Load8S { .. }
            | O::I64Load8U { .. }
            | O::I64Load16S { .. }
            | O::I64Load16U { .. }
            | O::I64Load32S { .. }
            | O::I64Load32U { .. }
            | O::I32Store { .. }
            | O::I64Store { .. }
            | O::F32Store { .. }
            | O::F64Store { .. }
            | O::I32Store8 { .. }
            | O::I32Store16 { .. }
            | O::I64Store8 { .. }
            | O::I64Store16 { .. }
            | O::I64Store32 { .. }
    )
}
