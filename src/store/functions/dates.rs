//! MySQL's functions of dates and times. A moment is text, `YYYY-MM-DD HH:MM:SS.ffffff` or the beginning of it, and UTC.

use rusqlite::functions::{Context, FunctionFlags};
use rusqlite::types::{Value, ValueRef};
use rusqlite::{Connection, Result};

const DAY_US: i64 = 86_400 * SECOND_US;
const SECOND_US: i64 = 1_000_000;

/// `now` is the statement's time.
pub(super) fn register(connection: &Connection, now: &str) -> Result<()> {
    let flags = FunctionFlags::SQLITE_UTF8 | FunctionFlags::SQLITE_DETERMINISTIC;
    let now = Moment::parse(now).map_or(0, |now| now.us());
    connection.create_scalar_function("unix_timestamp", -1, flags, move |context| {
        if context.is_empty() {
            return Ok(Value::Integer(now.div_euclid(SECOND_US)));
        }
        Ok(moment(context, 0).map_or(Value::Null, |moment| seconds(moment.us())))
    })?;
    connection.create_scalar_function("from_unixtime", -1, flags, |context| {
        let Some(seconds) = context.get::<Option<f64>>(0)? else {
            return Ok(None);
        };
        #[expect(clippy::cast_possible_truncation, reason = "checked by Moment::from_us")]
        let moment = Moment::from_us((seconds * 1e6).round() as i64);
        Ok(match (moment, text(context, 1)) {
            (Some(moment), Some(format)) => Some(moment.format(&format)),
            (moment, _) => moment.map(|moment| moment.to_text()),
        })
    })?;
    connection.create_scalar_function("date_format", 2, flags, |context| {
        Ok(moment(context, 0)
            .zip(text(context, 1))
            .map(|(moment, format)| moment.format(&format)))
    })?;
    for (name, sign) in [("date_add", 1.0), ("date_sub", -1.0)] {
        connection.create_scalar_function(name, 3, flags, move |context| {
            let amount = number(context, 1).map(|amount| sign * amount);
            let (Some(moment), Some(amount), Some(unit)) = (moment(context, 0), amount, text(context, 2)) else {
                return Ok(None);
            };
            Ok(moment.plus(amount, &unit).map(|moment| moment.to_text()))
        })?;
    }
    connection.create_scalar_function("timestampdiff", 3, flags, |context| {
        let (Some(unit), Some(from), Some(to)) = (text(context, 0), moment(context, 1), moment(context, 2)) else {
            return Ok(None);
        };
        Ok(from.until(to, &unit))
    })?;
    connection.create_scalar_function("datediff", 2, flags, |context| {
        let days = |moment: Moment| moment.us().div_euclid(DAY_US);
        Ok(moment(context, 0)
            .zip(moment(context, 1))
            .map(|(one, other)| days(one) - days(other)))
    })?;
    connection.create_scalar_function("time_to_sec", 1, flags, |context| {
        Ok(text(context, 0)
            .and_then(|text| time_of_day(text.split(' ').next_back()?))
            .map(|us| us / SECOND_US))
    })?;
    connection.create_scalar_function("sec_to_time", 1, flags, |context| {
        let seconds = context.get::<Option<i64>>(0)?;
        Ok(seconds.map(|seconds| {
            let (sign, all) = (if seconds < 0 { "-" } else { "" }, seconds.unsigned_abs());
            format!("{sign}{:02}:{:02}:{:02}", all / 3600, all / 60 % 60, all % 60)
        }))
    })?;
    type Part = fn(Moment) -> i64;
    let parts: [(&str, Part); 10] = [
        ("year", |moment| moment.year),
        ("quarter", |moment| (moment.month + 2) / 3),
        ("month", |moment| moment.month),
        ("day", |moment| moment.day),
        ("dayofmonth", |moment| moment.day),
        ("dayofweek", |moment| moment.weekday() + 1),
        ("weekday", |moment| (moment.weekday() + 6) % 7),
        ("hour", |moment| moment.time_us / (3600 * SECOND_US)),
        ("minute", |moment| moment.time_us / (60 * SECOND_US) % 60),
        ("second", |moment| moment.time_us / SECOND_US % 60),
    ];
    for (name, part) in parts {
        connection.create_scalar_function(name, 1, flags, move |context| Ok(moment(context, 0).map(part)))?;
    }
    Ok(())
}

fn text(context: &Context<'_>, index: usize) -> Option<String> {
    (index < context.len()).then(|| super::text(context, index)).flatten()
}

fn number(context: &Context<'_>, index: usize) -> Option<f64> {
    match context.get_raw(index) {
        ValueRef::Real(value) => Some(value),
        ValueRef::Null | ValueRef::Blob(_) => None,
        _ => text(context, index)?.trim().parse().ok(),
    }
}

fn moment(context: &Context<'_>, index: usize) -> Option<Moment> {
    Moment::parse(&text(context, index)?)
}

fn seconds(us: i64) -> Value {
    if us % SECOND_US == 0 {
        return Value::Integer(us / SECOND_US);
    }
    #[expect(clippy::cast_precision_loss, reason = "below 2^53 for some 285 years around 1970")]
    Value::Real(us as f64 / 1e6)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Moment {
    year: i64,
    month: i64,
    day: i64,
    time_us: i64,
}

impl Moment {
    fn parse(text: &str) -> Option<Moment> {
        let text = text.trim();
        let (date, time) = text.split_once([' ', 'T']).unwrap_or((text, ""));
        let mut parts = date.splitn(3, '-').map(|part| part.parse::<i64>().ok());
        let (year, month, day) = (parts.next()??, parts.next()??, parts.next()??);
        let fits = (0..=9999).contains(&year) && (1..=12).contains(&month) && (1..=31).contains(&day);
        let time_us = if time.is_empty() { 0 } else { time_of_day(time)? };
        (fits && (0..DAY_US).contains(&time_us)).then_some(Moment {
            year,
            month,
            day,
            time_us,
        })
    }

    /// Since the Unix epoch. Howard Hinnant's count of days, in which a year begins in March.
    fn us(self) -> i64 {
        let year = self.year - i64::from(self.month <= 2);
        let era = year.div_euclid(400);
        let of_era = year.rem_euclid(400);
        let of_year = (153 * ((self.month + 9) % 12) + 2) / 5 + self.day - 1;
        let days = era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468;
        days * DAY_US + self.time_us
    }

    /// `None` outside of the years 0 to 9999.
    fn from_us(us: i64) -> Option<Moment> {
        let days = us.div_euclid(DAY_US) + 719_468;
        let era = days.div_euclid(146_097);
        let of_era = days.rem_euclid(146_097);
        let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
        let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let from_march = (5 * of_year + 2) / 153;
        let month = (from_march + 2) % 12 + 1;
        let year = era * 400 + year_of_era + i64::from(month <= 2);
        (0..=9999).contains(&year).then_some(Moment {
            year,
            month,
            day: of_year - (153 * from_march + 2) / 5 + 1,
            time_us: us.rem_euclid(DAY_US),
        })
    }

    /// 0 is Sunday.
    fn weekday(self) -> i64 {
        (self.us().div_euclid(DAY_US) + 4).rem_euclid(7)
    }

    fn plus(self, amount: f64, unit: &str) -> Option<Moment> {
        let (us, months) = unit_size(unit)?;
        #[expect(clippy::cast_possible_truncation, reason = "saturates, and from_us checks")]
        let whole = |size: i64, amount: f64| (size as f64 * amount).round() as i64;
        if months == 0 {
            return Moment::from_us(self.us().checked_add(whole(us, amount))?);
        }
        let month = (self.year * 12 + self.month - 1).checked_add(whole(months, amount.round()))?;
        let (year, month) = (month.div_euclid(12), month.rem_euclid(12) + 1);
        let leap = year % 4 == 0 && year % 100 != 0 || year % 400 == 0;
        let last = match month {
            2 => 28 + i64::from(leap),
            4 | 6 | 9 | 11 => 30,
            _ => 31,
        };
        (0..=9999).contains(&year).then_some(Moment {
            year,
            month,
            day: self.day.min(last),
            time_us: self.time_us,
        })
    }

    /// Whole units from here to there.
    fn until(self, to: Moment, unit: &str) -> Option<i64> {
        let (us, months) = unit_size(unit)?;
        if months == 0 {
            return Some((to.us() - self.us()) / us);
        }
        let (early, late, sign) = if self.us() <= to.us() {
            (self, to, 1)
        } else {
            (to, self, -1)
        };
        let begun = i64::from((late.day, late.time_us) < (early.day, early.time_us));
        let between = (late.year - early.year) * 12 + late.month - early.month - begun;
        Some(sign * (between / months))
    }

    fn to_text(self) -> String {
        let fraction = if self.time_us % SECOND_US == 0 { "" } else { ".%f" };
        self.format(&format!("%Y-%m-%d %H:%i:%s{fraction}"))
    }

    /// `DATE_FORMAT`'s letters that people use; others stand for themselves, as in MySQL.
    fn format(self, format: &str) -> String {
        const MONTHS: [&str; 12] = [
            "January",
            "February",
            "March",
            "April",
            "May",
            "June",
            "July",
            "August",
            "September",
            "October",
            "November",
            "December",
        ];
        const DAYS: [&str; 7] = [
            "Sunday",
            "Monday",
            "Tuesday",
            "Wednesday",
            "Thursday",
            "Friday",
            "Saturday",
        ];
        let name = |names: &[&'static str], at: i64| usize::try_from(at).ok().and_then(|at| names.get(at).copied());
        let month = name(&MONTHS, self.month - 1).unwrap_or_default();
        let day = name(&DAYS, self.weekday()).unwrap_or_default();
        let abbreviated = |name: &str| name.chars().take(3).collect::<String>();
        let [hour, minute, second] = [3600, 60, 1].map(|size| self.time_us / (size * SECOND_US));
        let (minute, second) = (minute % 60, second % 60);
        let twelve = (hour + 11) % 12 + 1;
        let mut out = String::new();
        let mut letters = format.chars();
        while let Some(letter) = letters.next() {
            if letter != '%' {
                out.push(letter);
                continue;
            }
            let Some(letter) = letters.next() else {
                break;
            };
            out += &match letter {
                'Y' => format!("{:04}", self.year),
                'y' => format!("{:02}", self.year % 100),
                'm' => format!("{:02}", self.month),
                'c' => self.month.to_string(),
                'M' => month.to_owned(),
                'b' => abbreviated(month),
                'd' => format!("{:02}", self.day),
                'e' => self.day.to_string(),
                'W' => day.to_owned(),
                'a' => abbreviated(day),
                'w' => self.weekday().to_string(),
                'H' => format!("{hour:02}"),
                'k' => hour.to_string(),
                'h' | 'I' => format!("{twelve:02}"),
                'l' => twelve.to_string(),
                'p' => if hour < 12 { "AM" } else { "PM" }.to_owned(),
                'i' => format!("{minute:02}"),
                's' | 'S' => format!("{second:02}"),
                'f' => format!("{:06}", self.time_us % SECOND_US),
                'T' => format!("{hour:02}:{minute:02}:{second:02}"),
                'r' => self.format("%h:%i:%s %p"),
                other => other.to_string(),
            };
        }
        out
    }
}

/// Microseconds, or months.
fn unit_size(unit: &str) -> Option<(i64, i64)> {
    Some(match unit.to_ascii_uppercase().as_str() {
        "MICROSECOND" => (1, 0),
        "SECOND" => (SECOND_US, 0),
        "MINUTE" => (60 * SECOND_US, 0),
        "HOUR" => (3600 * SECOND_US, 0),
        "DAY" => (DAY_US, 0),
        "WEEK" => (7 * DAY_US, 0),
        "MONTH" => (0, 1),
        "QUARTER" => (0, 3),
        "YEAR" => (0, 12),
        _ => return None,
    })
}

/// `HH:MM[:SS[.ffffff]]` in microseconds.
fn time_of_day(text: &str) -> Option<i64> {
    let (text, fraction) = text.split_once('.').unwrap_or((text, ""));
    let mut us = 0;
    let mut size = 3600 * SECOND_US;
    for part in text.splitn(3, ':') {
        us += part.parse::<i64>().ok().filter(|part| (0..=838).contains(part))? * size;
        size /= 60;
    }
    let digits: String = fraction.chars().chain("000000".chars()).take(6).collect();
    Some(us + digits.parse::<i64>().ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_comes_back_from_its_count_of_microseconds() {
        let check = |text: &str, seconds: i64, weekday: &str| {
            let moment = Moment::parse(text).unwrap();
            assert_eq!(moment.us().div_euclid(SECOND_US), seconds, "{text}");
            assert_eq!(Moment::from_us(moment.us()), Some(moment), "{text}");
            assert_eq!(moment.to_text(), text);
            assert_eq!(moment.format("%a"), weekday, "{text}");
        };
        check("1970-01-01 00:00:00", 0, "Thu");
        check("2000-02-29 12:30:45", 951_827_445, "Tue");
        check("2026-11-22 20:41:38.123000", 1_795_380_098, "Sun");
        check("1969-12-31 23:59:59", -1, "Wed");
        for wrong in ["", "x", "2026-13-01", "2026-01-01 25:00:00", "2026-01-01 x"] {
            assert_eq!(Moment::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn intervals_are_added_as_mysql_adds_them() {
        let check = |text: &str, amount: f64, unit: &str, expected: Option<&str>| {
            let found = Moment::parse(text).unwrap().plus(amount, unit).map(Moment::to_text);
            assert_eq!(found.as_deref(), expected, "{text} {amount} {unit}");
        };
        check("2026-01-31", 1.0, "MONTH", Some("2026-02-28 00:00:00"));
        check("2024-01-31", 1.0, "month", Some("2024-02-29 00:00:00"));
        check("2024-02-29", -1.0, "YEAR", Some("2023-02-28 00:00:00"));
        check("2026-01-01", -1.5, "HOUR", Some("2025-12-31 22:30:00"));
        check("2026-01-01", 90.0, "SECOND", Some("2026-01-01 00:01:30"));
        check("9999-12-31", 1.0, "DAY", None);
        check("2026-01-01", 1e300, "DAY", None);
        check("2026-01-01", 1e300, "YEAR", None);
        check("2026-01-01", 1.0, "FORTNIGHT", None);
    }

    #[test]
    fn the_time_between_two_moments_is_in_whole_units() {
        let check = |from: &str, to: &str, unit: &str, expected: i64| {
            let [from, to] = [from, to].map(|text| Moment::parse(text).unwrap());
            assert_eq!(from.until(to, unit), Some(expected));
        };
        check("2026-01-01", "2026-01-01 00:01:59", "MINUTE", 1);
        check("2026-01-01 00:01:59", "2026-01-01", "MINUTE", -1);
        check("2026-01-31", "2026-02-28", "MONTH", 0);
        check("2025-01-31", "2026-02-28", "YEAR", 1);
        check("2026-02-28", "2025-01-31", "MONTH", -12);
    }
}
