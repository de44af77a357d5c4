#include "strop/store/postgres/values.h"

#include <charconv>
#include <cmath>
#include <cstdlib>
#include <string_view>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "strop/base/error.h"

namespace strop::store::postgres {
namespace {

// Of pg_type.dat, which never change.
constexpr Oid kBool = 16, kBytea = 17, kInt8 = 20, kInt2 = 21, kInt4 = 23, kFloat4 = 700, kFloat8 = 701,
              kNumeric = 1700, kJsonb = 3802;

std::string Digits(double value) { return fmt::format("{}", value); }

// JSONB keeps decimals as written, so a point tells a real number from a whole one when it comes back.
std::string JsonDigits(double value) {
  if (!std::isfinite(value)) {
    throw Error(
        Code::kInvalidArgument,
        fmt::format(
            "a column without a type cannot hold {} in PostgreSQL: expected a finite number or a text",
            Digits(value)));
  }
  std::string digits = Digits(value);
  if (digits.find("e+") != std::string::npos) digits = fmt::format("{:f}", value);
  return digits.find_first_of(".e") == std::string::npos ? digits + ".0" : digits;
}

std::string JsonText(const std::string& text) {
  try {
    return nlohmann::json(text).dump();
  } catch (const nlohmann::json::exception&) {
    throw Error(Code::kInvalidArgument, "a text that is not UTF-8");
  }
}

// As much of the text as is a number; 0 for none. Unlike strtod, the same in every locale.
double Real(std::string_view text) {
  double real = 0;
  std::from_chars(text.data(), text.data() + text.size(), real);
  return real;
}

Value Number(std::string_view text) {
  int64_t whole = 0;
  const char* const end = text.data() + text.size();
  if (const auto [at, error] = std::from_chars(text.data(), end, whole); error == std::errc() && at == end)
    return whole;
  return Real(text);
}

Value ParseJson(const std::string& text) {
  const auto json = nlohmann::json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (json.is_string()) return json.get<std::string>();
  if (json.is_number_float() || json.is_number_integer()) return Number(text);
  return text;
}

Blob ParseBytes(const char* text) {
  size_t size = 0;
  unsigned char* const bytes = PQunescapeBytea(reinterpret_cast<const unsigned char*>(text), &size);
  if (!bytes) throw std::bad_alloc();
  Blob blob(bytes, bytes + size);
  PQfreemem(bytes);
  return blob;
}

}  // namespace

Encoded Encode(const Value& value, Oid type) {
  struct Encoder {
    Oid type;
    Encoded operator()(std::nullptr_t) const { return {.null = true, .bytes = {}}; }
    Encoded operator()(int64_t whole) const { return {.bytes = std::to_string(whole)}; }
    Encoded operator()(double real) const {
      if (std::isnan(real)) return {.null = true, .bytes = {}};
      return {.bytes = type == kJsonb ? JsonDigits(real) : Digits(real)};
    }
    Encoded operator()(const std::string& text) const {
      if (type == kBytea) return {.binary = true, .bytes = text};
      if (text.find('\0') != std::string::npos)
        throw Error(Code::kInvalidArgument, "a text with a NUL in it, which PostgreSQL cannot hold");
      return {.bytes = type == kJsonb ? JsonText(text) : text};
    }
    Encoded operator()(const Blob& bytes) const {
      if (type != kBytea)
        throw Error(Code::kInvalidArgument,
                    "bytes where PostgreSQL expects another type: only BLOB holds them");
      return {.binary = true, .bytes = std::string(bytes.begin(), bytes.end())};
    }
  };
  return std::visit(Encoder{type}, value);
}

bool ResultRow::IsNull(int column) const noexcept { return PQgetisnull(result_, row_, column) != 0; }

Value ResultRow::Get(int column) const {
  if (IsNull(column)) return nullptr;
  const char* const text = PQgetvalue(result_, row_, column);
  switch (PQftype(result_, column)) {
    case kInt2:
    case kInt4:
    case kInt8:
    case kNumeric:
      return Number(text);
    case kBool:
      return int64_t{text[0] == 't'};
    case kFloat4:
    case kFloat8:
      return postgres::Real(text);
    case kBytea:
      return ParseBytes(text);
    case kJsonb:
      return ParseJson(text);
    default:
      return std::string(text);
  }
}

int64_t ResultRow::Int(int column) const noexcept {
  const Value value = Get(column);
  if (const auto* whole = std::get_if<int64_t>(&value)) return *whole;
  if (const auto* real = std::get_if<double>(&value)) return static_cast<int64_t>(*real);
  if (const auto* text = std::get_if<std::string>(&value)) return std::strtoll(text->c_str(), nullptr, 10);
  return 0;
}

double ResultRow::Real(int column) const noexcept {
  const Value value = Get(column);
  if (const auto* whole = std::get_if<int64_t>(&value)) return static_cast<double>(*whole);
  if (const auto* real = std::get_if<double>(&value)) return *real;
  if (const auto* text = std::get_if<std::string>(&value)) return postgres::Real(*text);
  return 0;
}

std::string ResultRow::Text(int column) const {
  const Value value = Get(column);
  if (const auto* text = std::get_if<std::string>(&value)) return *text;
  if (const auto* bytes = std::get_if<Blob>(&value)) return std::string(bytes->begin(), bytes->end());
  return PQgetvalue(result_, row_, column);
}

Blob ResultRow::Bytes(int column) const {
  const Value value = Get(column);
  if (const auto* bytes = std::get_if<Blob>(&value)) return *bytes;
  const std::string text = Text(column);
  return Blob(text.begin(), text.end());
}

}  // namespace strop::store::postgres
