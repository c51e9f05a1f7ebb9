//! The data of the demo: a company in the shape of MySQL's well-known `employees` sample, made here, the same at
//! every run: six tables with primary, unique and foreign keys, about 100,000 rows.

/// The database.
pub(super) const DATABASE: &str = "employees";

/// Employees are numbered from here on.
pub(super) const FIRST_EMPLOYEE: u32 = 10_001;

/// The tables, parents before children.
pub(super) const TABLES: [&str; 6] = [
    "departments",
    "employees",
    "dept_emp",
    "dept_manager",
    "titles",
    "salaries",
];

const EMPLOYEES: u32 = 10_000;
const ROWS_PER_INSERT: usize = 1_000;

/// The statements that make the database and its tables.
pub(super) const SCHEMA: [&str; 7] = [
    "CREATE DATABASE employees CHARACTER SET utf8mb4",
    "CREATE TABLE employees.employees (
       emp_no INT NOT NULL, birth_date DATE NOT NULL, first_name VARCHAR(14) NOT NULL, last_name VARCHAR(16) NOT NULL,
       gender ENUM('M', 'F') NOT NULL, hire_date DATE NOT NULL, PRIMARY KEY (emp_no))",
    "CREATE TABLE employees.departments (
       dept_no CHAR(4) NOT NULL, dept_name VARCHAR(40) NOT NULL, PRIMARY KEY (dept_no), UNIQUE KEY (dept_name))",
    "CREATE TABLE employees.dept_emp (
       emp_no INT NOT NULL, dept_no CHAR(4) NOT NULL, from_date DATE NOT NULL, to_date DATE NOT NULL,
       PRIMARY KEY (emp_no, dept_no), KEY (dept_no),
       FOREIGN KEY (emp_no) REFERENCES employees (emp_no), FOREIGN KEY (dept_no) REFERENCES departments (dept_no))",
    "CREATE TABLE employees.dept_manager (
       emp_no INT NOT NULL, dept_no CHAR(4) NOT NULL, from_date DATE NOT NULL, to_date DATE NOT NULL,
       PRIMARY KEY (emp_no, dept_no), KEY (dept_no),
       FOREIGN KEY (emp_no) REFERENCES employees (emp_no), FOREIGN KEY (dept_no) REFERENCES departments (dept_no))",
    "CREATE TABLE employees.titles (
       emp_no INT NOT NULL, title VARCHAR(50) NOT NULL, from_date DATE NOT NULL, to_date DATE,
       PRIMARY KEY (emp_no, title, from_date), FOREIGN KEY (emp_no) REFERENCES employees (emp_no))",
    "CREATE TABLE employees.salaries (
       emp_no INT NOT NULL, salary INT NOT NULL, from_date DATE NOT NULL, to_date DATE NOT NULL,
       PRIMARY KEY (emp_no, from_date), FOREIGN KEY (emp_no) REFERENCES employees (emp_no))",
];

const DEPARTMENTS: &str = "Bridges Ferries Finance Harbours Lighthouses Maps Personnel Sales Tides";
const TITLES: &str = "Assistant Engineer Surveyor Navigator Pilot Harbourmaster";
const WOMEN: &str = "Aino Chiara Eszter Gwen Inés Katarína Maëlle Oluchi Rania Tamar Vigdís Yuki";
const MEN: &str = "Bjarne Dmitri Farid Haruto João Lars Nikos Pavel Søren Umberto Wen Zoltán";
const LAST_NAMES: &str = "Abara Bergström Castro Dvořák Eriksen Fontaine Gruber Horváth Ivanova Jansen \
                          Kowalska Lindqvist Moreau Nakamura Okafor Petrov Quispe Rossi Sørensen Tanaka";

/// Makes the rows, as `INSERT` statements of up to 1,000 rows each, parents before children.
pub(super) fn inserts() -> Vec<Insert> {
    let mut company = Company::default();
    for (index, name) in (0..).zip(DEPARTMENTS.split(' ')) {
        company.departments.push(format!("('{}','{name}')", department(index)));
    }
    let mut random = Random(0x2545_F491_4F6C_DD1D);
    for number in FIRST_EMPLOYEE..FIRST_EMPLOYEE + EMPLOYEES {
        company.hire(number, &mut random);
    }
    let mut statements = Vec::new();
    let rows_of_all = [
        company.departments,
        company.employees,
        company.dept_emp,
        company.dept_manager,
        company.titles,
        company.salaries,
    ];
    for (table, rows) in TABLES.iter().zip(rows_of_all) {
        for some in rows.chunks(ROWS_PER_INSERT) {
            statements.push(Insert {
                text: format!("INSERT INTO {DATABASE}.{table} VALUES {}", some.join(",")),
                rows: some.len() as u64,
            });
        }
    }
    statements
}

/// One multi-row `INSERT`.
pub(super) struct Insert {
    /// The statement.
    pub(super) text: String,
    /// How many rows it has.
    pub(super) rows: u64,
}

#[derive(Default)]
struct Company {
    departments: Vec<String>,
    employees: Vec<String>,
    dept_emp: Vec<String>,
    dept_manager: Vec<String>,
    titles: Vec<String>,
    salaries: Vec<String>,
}

impl Company {
    /// One employee with a career: departments, titles and a salary for each year.
    fn hire(&mut self, number: u32, random: &mut Random) {
        let (gender, names) = if random.below(2) == 0 { ('F', WOMEN) } else { ('M', MEN) };
        let first_name = random.word_of(names);
        let last_name = random.word_of(LAST_NAMES);
        let born = random.below(30) + 1960;
        let hired = (born + 20 + random.below(10)).max(1990);
        // Days up to the 28th only, so that every month has them.
        let (month, day) = (random.below(12) + 1, random.below(28) + 1);
        let on = |year: u32| format!("{year}-{month:02}-{day:02}");
        self.employees.push(format!(
            "({number},'{born}-{:02}-{:02}','{first_name}','{last_name}','{gender}','{}')",
            random.below(12) + 1,
            random.below(28) + 1,
            on(hired)
        ));

        let years = random.below(12) + 1;
        let first_department = random.below(9);
        let moves = if years > 3 && random.below(5) == 0 { 2 } else { 1 };
        for step in 0..moves {
            let from = hired + step * 2;
            let until = if step + 1 == moves {
                "9999-01-01".into()
            } else {
                on(from + 2)
            };
            let department = department((first_department + step) % 9);
            self.dept_emp
                .push(format!("({number},'{department}','{}','{until}')", on(from)));
        }
        if number.is_multiple_of(400) {
            let department = department(first_department);
            let row = format!("({number},'{department}','{}','9999-01-01')", on(hired));
            self.dept_manager.push(row);
        }
        let title = random.below(5);
        let promoted = years > 2 && random.below(2) == 0;
        let until = if promoted {
            format!("'{}'", on(hired + 2))
        } else {
            "NULL".into()
        };
        let mut title_row = |rank: u32, from: u32, until: &str| {
            let title = word(TITLES, rank);
            self.titles.push(format!("({number},'{title}','{}',{until})", on(from)));
        };
        title_row(title, hired, &until);
        if promoted {
            title_row(title + 1, hired + 2, "NULL");
        }
        let mut salary = 38_000 + random.below(30_000);
        for year in hired..hired + years {
            let until = if year + 1 == hired + years {
                "9999-01-01".into()
            } else {
                on(year + 1)
            };
            self.salaries
                .push(format!("({number},{salary},'{}','{until}')", on(year)));
            salary += random.below(4_000);
        }
    }
}

/// A word of a list, by its place.
fn word(list: &'static str, index: u32) -> &'static str {
    (0..)
        .zip(list.split(' '))
        .find(|(place, _)| *place == index)
        .map_or("", |(_, word)| word)
}

fn department(index: u32) -> String {
    format!("d{:03}", index + 1)
}

/// Numbers that look random and are the same at every run (xorshift64).
struct Random(u64);

impl Random {
    fn below(&mut self, end: u32) -> u32 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        u32::try_from((self.0 >> 32) % u64::from(end.max(1))).unwrap_or(0)
    }

    fn word_of(&mut self, list: &'static str) -> &'static str {
        let count = u32::try_from(list.split(' ').count()).unwrap_or(u32::MAX);
        word(list, self.below(count))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_data_is_the_same_at_every_run_and_about_100_000_rows() {
        let one = inserts();
        let other = inserts();
        assert!(one.iter().zip(&other).all(|(a, b)| a.text == b.text) && one.len() == other.len());
        let rows: u64 = one.iter().map(|insert| insert.rows).sum();
        assert!((90_000..110_000).contains(&rows), "{rows}");
    }

    #[test]
    fn no_insert_has_an_empty_word() {
        for insert in inserts() {
            assert!(!insert.text.contains("''"), "{}", &insert.text[..200]);
        }
    }
}
