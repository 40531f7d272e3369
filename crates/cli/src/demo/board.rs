//! A chess board, as far as drawing a game needs one: whether a move is legal is for the rule to say.

/// Pieces by square, a1 first; white ones are capital letters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Board([Option<char>; 64]);

impl Board {
    /// Sets up a game.
    pub(super) fn new() -> Self {
        let mut squares = [None; 64];
        for (file, piece) in "RNBQKBNR".chars().enumerate() {
            squares[file] = Some(piece);
            squares[8 + file] = Some('P');
            squares[48 + file] = Some('p');
            squares[56 + file] = Some(piece.to_ascii_lowercase());
        }
        Self(squares)
    }

    /// Makes a legal move, written as in UCI: `e2e4`, `e1g1` to castle, `e7e8q` to promote. False for another text.
    pub(super) fn make(&mut self, uci: &str) -> bool {
        let (Some(from), Some(to)) = (square(uci.get(..2)), square(uci.get(2..4))) else { return false };
        let Some(piece) = self.0[from].take() else { return false };
        let kind = piece.to_ascii_lowercase();
        let sideways = from % 8 != to % 8;
        if kind == 'p' && sideways && self.0[to].is_none() {
            // En passant: the pawn that is taken stands beside.
            self.0[from / 8 * 8 + to % 8] = None;
        }
        if kind == 'k' && from.abs_diff(to) == 2 {
            let (rook, beside) = if to > from { (to + 1, to - 1) } else { (to - 2, to + 1) };
            self.0[beside] = self.0[rook].take();
        }
        let promoted = uci.chars().nth(4).map(|promoted| match piece.is_ascii_uppercase() {
            true => promoted.to_ascii_uppercase(),
            false => promoted,
        });
        self.0[to] = promoted.or(Some(piece));
        true
    }

    /// Draws the board, white below.
    pub(super) fn draw(&self) -> Vec<String> {
        let rank = |rank: usize| {
            let squares = (0..8).map(|file| match self.0[rank * 8 + file] {
                Some(piece) => figure(piece),
                None => '·',
            });
            let squares: Vec<String> = squares.map(String::from).collect();
            format!("  {} {}", rank + 1, squares.join(" "))
        };
        let mut lines: Vec<String> = (0..8).rev().map(rank).collect();
        lines.push("    a b c d e f g h".into());
        lines
    }
}

fn square(text: Option<&str>) -> Option<usize> {
    match text?.as_bytes() {
        [file @ b'a'..=b'h', rank @ b'1'..=b'8'] => {
            Some(usize::from(rank - b'1') * 8 + usize::from(file - b'a'))
        }
        _ => None,
    }
}

fn figure(piece: char) -> char {
    match piece {
        'K' => '♔',
        'Q' => '♕',
        'R' => '♖',
        'B' => '♗',
        'N' => '♘',
        'P' => '♙',
        'k' => '♚',
        'q' => '♛',
        'r' => '♜',
        'b' => '♝',
        'n' => '♞',
        _ => '♟',
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(moves: &str) -> Board {
        let mut board = Board::new();
        assert!(moves.split(' ').all(|uci| board.make(uci)), "{moves}");
        board
    }

    #[test]
    fn a_game_is_drawn_with_white_below() {
        let lines = Board::new().draw();
        assert_eq!(lines[0], "  8 ♜ ♞ ♝ ♛ ♚ ♝ ♞ ♜");
        assert_eq!(lines[7], "  1 ♖ ♘ ♗ ♕ ♔ ♗ ♘ ♖");
    }

    #[test]
    fn castling_en_passant_and_promotion_move_what_they_move() {
        let board = after("e2e4 a7a6 g1f3 a6a5 f1e2 a5a4 e1g1");
        assert_eq!(board.draw()[7], "  1 ♖ ♘ ♗ ♕ · ♖ ♔ ·");
        let board = after("d2d4 d7d5 c1f4 b8c6 b1c3 c8f5 d1d2 d8d7 e1c1 e8c8");
        assert_eq!(board.draw()[7], "  1 · · ♔ ♖ · ♗ ♘ ♖");
        assert_eq!(board.draw()[0], "  8 · · ♚ ♜ · ♝ ♞ ♜");
        let board = after("e2e4 a7a6 e4e5 d7d5 e5d6");
        assert_eq!(board.draw()[3], "  5 · · · · · · · ·");
        let board = after("e2e4 a7a6 e4e5 d7d5 e5d6 a6a5 d6c7 a5a4 c7b8n");
        assert_eq!(board.draw()[0], "  8 ♜ ♘ ♝ ♛ ♚ ♝ ♞ ♜");
        assert!(!Board::new().make("e4e5") && !Board::new().make("z1z2") && !Board::new().make("é"));
    }
}
