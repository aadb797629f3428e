//! From words to a tree.

use super::lexer::{Token, tokens};

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Tree {
    Number(f64),
    Text(String),
    /// A query of the same request.
    Id(String),
    /// `[m1, m2]`
    List(Vec<Self>),
    Call(String, Vec<Self>),
    Negative(Box<Self>),
    Binary(Operator, Box<Self>, Box<Self>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operator {
    Add,
    Subtract,
    Multiply,
    Divide,
    Power,
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    And,
    Or,
}

/// Operators by how tightly they bind, the loosest first.
fn binary(token: &Token) -> Option<(Operator, u8)> {
    use Operator::*;
    Some(match token {
        Token::Sign("||") => (Or, 0),
        Token::Sign("&&") => (And, 1),
        Token::Word(word) if word == "OR" => (Or, 0),
        Token::Word(word) if word == "AND" => (And, 1),
        Token::Sign("==") => (Equal, 2),
        Token::Sign("!=") => (NotEqual, 2),
        Token::Sign("<") => (Less, 2),
        Token::Sign("<=") => (LessOrEqual, 2),
        Token::Sign(">") => (Greater, 2),
        Token::Sign(">=") => (GreaterOrEqual, 2),
        Token::Sign("+") => (Add, 3),
        Token::Sign("-") => (Subtract, 3),
        Token::Sign("*") => (Multiply, 4),
        Token::Sign("/") => (Divide, 4),
        Token::Sign("^") => (Power, 6),
        _ => return None,
    })
}

/// A sign before a number binds tighter than `*` and looser than `^`.
const NEGATIVE: u8 = 5;
/// Deeper trees are refused: they would cost stack.
const DEPTH_MAX: usize = 64;

struct Parser {
    tokens: Vec<Token>,
    at: usize,
    depth: usize,
}

/// `Err` says what is wrong.
pub(super) fn parse(text: &str) -> Result<Tree, String> {
    let mut parser = Parser { tokens: tokens(text)?, at: 0, depth: 0 };
    let tree = parser.expression(0)?;
    match parser.tokens.get(parser.at) {
        None => Ok(tree),
        Some(token) => Err(format!("unexpected {}", shown(token))),
    }
}

fn shown(token: &Token) -> String {
    match token {
        Token::Number(number) => number.to_string(),
        Token::Word(word) => word.clone(),
        Token::Text(text) => format!("\"{text}\""),
        Token::Sign(sign) => (*sign).to_owned(),
    }
}

impl Parser {
    fn eat(&mut self, sign: &str) -> bool {
        let found = matches!(self.tokens.get(self.at), Some(Token::Sign(found)) if *found == sign);
        self.at += usize::from(found);
        found
    }

    fn expect(&mut self, sign: &str) -> Result<(), String> {
        if self.eat(sign) {
            return Ok(());
        }
        match self.tokens.get(self.at) {
            None => Err(format!("{sign} is missing at the end")),
            Some(token) => Err(format!("{sign} is missing before {}", shown(token))),
        }
    }

    /// Operators that bind at least so tightly.
    fn expression(&mut self, tightness: u8) -> Result<Tree, String> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err(format!("the expression is nested more than {DEPTH_MAX} levels deep"));
        }
        let mut left = self.term()?;
        while let Some((operator, binds)) = self.tokens.get(self.at).and_then(binary)
            && binds >= tightness
        {
            self.at += 1;
            // Powers group to the right, all else to the left.
            let right = self.expression(if operator == Operator::Power { binds } else { binds + 1 })?;
            left = Tree::Binary(operator, Box::new(left), Box::new(right));
        }
        self.depth -= 1;
        Ok(left)
    }

    fn term(&mut self) -> Result<Tree, String> {
        if self.eat("-") {
            return self.expression(NEGATIVE).map(|tree| Tree::Negative(Box::new(tree)));
        }
        if self.eat("+") {
            return self.expression(NEGATIVE);
        }
        if self.eat("(") {
            let tree = self.expression(0)?;
            self.expect(")")?;
            return Ok(tree);
        }
        if self.eat("[") {
            return self.items("]").map(Tree::List);
        }
        let token = self.tokens.get(self.at).cloned().ok_or("the expression ends too early")?;
        self.at += 1;
        match token {
            Token::Number(number) => Ok(Tree::Number(number)),
            Token::Text(text) => Ok(Tree::Text(text)),
            Token::Word(word) if self.eat("(") => Ok(Tree::Call(word, self.items(")")?)),
            Token::Word(word) => Ok(Tree::Id(word)),
            Token::Sign(sign) => Err(format!("unexpected {sign}")),
        }
    }

    fn items(&mut self, close: &str) -> Result<Vec<Tree>, String> {
        let mut items = Vec::new();
        if self.eat(close) {
            return Ok(items);
        }
        loop {
            items.push(self.expression(0)?);
            if !self.eat(",") {
                self.expect(close)?;
                return Ok(items);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shape(tree: &Tree) -> String {
        match tree {
            Tree::Number(number) => number.to_string(),
            Tree::Text(text) => format!("'{text}'"),
            Tree::Id(id) => id.clone(),
            Tree::List(items) => format!("[{}]", items.iter().map(shape).collect::<Vec<_>>().join(" ")),
            Tree::Call(name, items) => {
                format!("{name}({})", items.iter().map(shape).collect::<Vec<_>>().join(" "))
            }
            Tree::Negative(inner) => format!("-{}", shape(inner)),
            Tree::Binary(operator, left, right) => format!("({} {operator:?} {})", shape(left), shape(right)),
        }
    }

    #[test]
    fn trees() {
        let check = |text: &str, expect: &str| match parse(text) {
            Ok(tree) => assert_eq!(shape(&tree), expect, "{text}"),
            Err(wrong) => assert_eq!(format!("! {wrong}"), expect, "{text}"),
        };
        check("m1/m2", "(m1 Divide m2)");
        check("1 + 2 * 3", "(1 Add (2 Multiply 3))");
        check("(1 + 2) * 3", "((1 Add 2) Multiply 3)");
        check("8 - 4 - 2", "((8 Subtract 4) Subtract 2)");
        check("2 ^ 3 ^ 2", "(2 Power (3 Power 2))");
        check("-2 ^ 2", "-(2 Power 2)");
        check("-m1 * 2", "(-m1 Multiply 2)");
        check("2 * -m1", "(2 Multiply -m1)");
        check("m1>5 AND m2<=1e-3", "((m1 Greater 5) And (m2 LessOrEqual 0.001))");
        check("a || b && c == d", "(a Or (b And (c Equal d)))");
        check("IF(m2 > 0, m1/m2, m1)", "IF((m2 Greater 0) (m1 Divide m2) m1)");
        check("SUM([m1, m2])", "SUM([m1 m2])");
        check("METRICS('err')", "METRICS('err')");
        check("FILL(METRICS(), REPEAT)", "FILL(METRICS() REPEAT)");
        check("", "! the expression ends too early");
        check("m1 +", "! the expression ends too early");
        check("m1 m2", "! unexpected m2");
        check("(m1", "! ) is missing at the end");
        check("SUM(m1; m2)", "! unexpected character ;");
        check("SUM('a)", "! a text has no closing quotation mark");
        check("1.2.3", "! 1.2.3 is not a number");
        check("*m1", "! unexpected *");
        check(&"(".repeat(100), "! the expression is nested more than 64 levels deep");
        check(&"-".repeat(100), "! the expression is nested more than 64 levels deep");
    }
}
