#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "strop/base/api.h"

namespace strop::model {

// A size that is told by named ones: a sum of products of names, and of such sums over numbers, rounded down,
// as windows count them. Kept in one form, so that what is written alike in the end is equal: (h+1)/2, and of
// that again, is (h+3)/4. What is equal has the same value whatever positive sizes the names stand for; the
// converse need not hold. Too long an expression, and one beyond 64 bits, is unknown. Immutable, cheap to
// copy.
class STROP_API SymbolicSize {
 public:
  SymbolicSize() = default;  // unknown, as is what is made of it
  static SymbolicSize Number(int64_t number);
  static SymbolicSize Named(std::string name);

  bool known() const noexcept { return sum_ != nullptr; }
  std::optional<int64_t> number() const;  // where it is one
  const std::string* name() const;        // where it is one name and nothing else, else nullptr

  friend STROP_API SymbolicSize operator+(const SymbolicSize& a, const SymbolicSize& b);
  friend STROP_API SymbolicSize operator*(const SymbolicSize& a, const SymbolicSize& b);
  // Rounded down; a divisor of at least 1.
  SymbolicSize Over(int64_t divisor) const;
  // What times `divisor` is this; unknown where none is found.
  SymbolicSize Quotient(const SymbolicSize& divisor) const;

  // Whether no name's growth makes it smaller, as can be read off; false where unknown.
  bool rising() const;
  // At the sizes that the names have: INT64_MAX beyond 64 bits. For a known one.
  int64_t At(const std::function<int64_t(const std::string&)>& size_of) const;
  std::string Text() const;  // for people: "8*batch*((h+1)/2)+3", "?" where unknown

  // Unknown sizes are equal to none, not even to themselves.
  friend bool operator==(const SymbolicSize& a, const SymbolicSize& b) {
    return a.known() && b.known() && Compare(*a.sum_, *b.sum_) == 0;
  }

 private:
  struct Atom;
  struct Term;
  struct Sum;
  explicit SymbolicSize(std::shared_ptr<const Sum> sum) : sum_(std::move(sum)) {}
  static SymbolicSize Made(Sum sum);
  static std::strong_ordering Compare(const Atom& a, const Atom& b);
  static std::strong_ordering Compare(const Term& a, const Term& b);
  static std::strong_ordering Compare(const Sum& a, const Sum& b);
  static int64_t At(const Sum& sum, const std::function<int64_t(const std::string&)>& size_of);
  static std::string Text(const Sum& sum);

  std::shared_ptr<const Sum> sum_;
};

}  // namespace strop::model
