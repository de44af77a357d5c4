#include "strop/model/symbolic_size.h"

#include <algorithm>
#include <numeric>
#include <utility>
#include <vector>

#include <fmt/format.h>

namespace strop::model {
namespace {

constexpr size_t kMostAtoms = 32;  // of an expression, those inside of others included

int64_t FloorOver(int64_t a, int64_t b) { return a / b - (a % b < 0 ? 1 : 0); }

}  // namespace

// A name, or a sum over a number.
struct SymbolicSize::Atom {
  std::string name;
  std::shared_ptr<const Sum> part;
  int64_t divisor = 1;
};

// A product; its atoms are in order.
struct SymbolicSize::Term {
  int64_t factor = 1;
  std::vector<Atom> atoms;
};

// Terms are in order of their atoms, of which no two have the same, and none has the factor 0.
struct SymbolicSize::Sum {
  int64_t constant = 0;
  std::vector<Term> terms;
};

std::strong_ordering SymbolicSize::Compare(const Atom& a, const Atom& b) {
  if (const auto order = a.name <=> b.name; order != 0) return order;
  if (const auto order = a.divisor <=> b.divisor; order != 0) return order;
  if (a.part == b.part) return std::strong_ordering::equal;
  if (!a.part || !b.part) return !a.part <=> !b.part;
  return Compare(*a.part, *b.part);
}

// By the atoms alone.
std::strong_ordering SymbolicSize::Compare(const Term& a, const Term& b) {
  if (const auto order = a.atoms.size() <=> b.atoms.size(); order != 0) return order;
  for (size_t i = 0; i < a.atoms.size(); ++i)
    if (const auto order = Compare(a.atoms[i], b.atoms[i]); order != 0) return order;
  return std::strong_ordering::equal;
}

std::strong_ordering SymbolicSize::Compare(const Sum& a, const Sum& b) {
  if (&a == &b) return std::strong_ordering::equal;
  if (const auto order = a.constant <=> b.constant; order != 0) return order;
  if (const auto order = a.terms.size() <=> b.terms.size(); order != 0) return order;
  for (size_t i = 0; i < a.terms.size(); ++i) {
    if (const auto order = a.terms[i].factor <=> b.terms[i].factor; order != 0) return order;
    if (const auto order = Compare(a.terms[i], b.terms[i]); order != 0) return order;
  }
  return std::strong_ordering::equal;
}

// In order, and not too long.
SymbolicSize SymbolicSize::Made(Sum sum) {
  const auto count = [](const auto& self, const Sum& of) -> size_t {
    size_t atoms = 0;
    for (const Term& term : of.terms)
      for (const Atom& atom : term.atoms) atoms += 1 + (atom.part ? self(self, *atom.part) : 0);
    return atoms;
  };
  if (count(count, sum) > kMostAtoms) return {};
  std::sort(sum.terms.begin(), sum.terms.end(),
            [](const Term& a, const Term& b) { return Compare(a, b) < 0; });
  Sum whole{sum.constant, {}};
  for (Term& term : sum.terms) {
    if (whole.terms.empty() || Compare(whole.terms.back(), term) != 0) {
      whole.terms.push_back(std::move(term));
    } else if (__builtin_add_overflow(whole.terms.back().factor, term.factor, &whole.terms.back().factor)) {
      return {};
    }
  }
  std::erase_if(whole.terms, [](const Term& term) { return term.factor == 0; });
  return SymbolicSize(std::make_shared<const Sum>(std::move(whole)));
}

SymbolicSize SymbolicSize::Number(int64_t number) { return Made({number, {}}); }

SymbolicSize SymbolicSize::Named(std::string name) {
  return Made({0, {Term{1, {Atom{std::move(name), nullptr, 1}}}}});
}

std::optional<int64_t> SymbolicSize::number() const {
  return sum_ && sum_->terms.empty() ? std::optional(sum_->constant) : std::nullopt;
}

const std::string* SymbolicSize::name() const {
  if (!sum_ || sum_->constant != 0 || sum_->terms.size() != 1) return nullptr;
  const Term& term = sum_->terms[0];
  return term.factor == 1 && term.atoms.size() == 1 && !term.atoms[0].part ? &term.atoms[0].name : nullptr;
}

SymbolicSize operator+(const SymbolicSize& a, const SymbolicSize& b) {
  if (!a.known() || !b.known()) return {};
  SymbolicSize::Sum sum = *a.sum_;
  if (__builtin_add_overflow(sum.constant, b.sum_->constant, &sum.constant)) return {};
  sum.terms.insert(sum.terms.end(), b.sum_->terms.begin(), b.sum_->terms.end());
  return SymbolicSize::Made(std::move(sum));
}

SymbolicSize operator*(const SymbolicSize& a, const SymbolicSize& b) {
  if (!a.known() || !b.known()) return {};
  const SymbolicSize::Sum &x = *a.sum_, &y = *b.sum_;
  SymbolicSize::Sum sum;
  if (__builtin_mul_overflow(x.constant, y.constant, &sum.constant)) return {};
  const auto add = [&](const SymbolicSize::Term& p, int64_t factor,
                       const std::vector<SymbolicSize::Atom>& q) {
    SymbolicSize::Term term;
    if (__builtin_mul_overflow(p.factor, factor, &term.factor)) return false;
    std::merge(p.atoms.begin(), p.atoms.end(), q.begin(), q.end(), std::back_inserter(term.atoms),
               [](const auto& one, const auto& other) { return SymbolicSize::Compare(one, other) < 0; });
    sum.terms.push_back(std::move(term));
    return true;
  };
  for (const SymbolicSize::Term& p : x.terms) {
    if (!add(p, y.constant, {})) return {};
    for (const SymbolicSize::Term& q : y.terms)
      if (!add(p, q.factor, q.atoms)) return {};
  }
  for (const SymbolicSize::Term& q : y.terms)
    if (!add(q, x.constant, {})) return {};
  return SymbolicSize::Made(std::move(sum));
}

// Whole multiples of the divisor come out of it, what all the rest is a multiple of is cancelled, and
// (x/a + b)/c is (x + ab)/ac: floor(floor(x/a)/c) = floor(x/ac).
SymbolicSize SymbolicSize::Over(int64_t divisor) const {
  if (!sum_ || divisor < 1) return {};
  if (divisor == 1) return *this;
  Sum whole{FloorOver(sum_->constant, divisor), {}};
  Sum rest{sum_->constant - whole.constant * divisor, {}};
  int64_t common = divisor;
  for (const Term& term : sum_->terms) {
    const int64_t times = FloorOver(term.factor, divisor), left = term.factor - times * divisor;
    if (times != 0) whole.terms.push_back({times, term.atoms});
    if (left == 0) continue;
    rest.terms.push_back({left, term.atoms});
    common = std::gcd(common, left);
  }
  if (rest.terms.empty()) return Made(std::move(whole));
  rest.constant /= common;
  for (Term& term : rest.terms) term.factor /= common;
  divisor /= common;
  if (divisor == 1) return Made(std::move(whole)) + Made(std::move(rest));
  const Term& first = rest.terms[0];
  if (rest.terms.size() == 1 && first.factor == 1 && first.atoms.size() == 1 && first.atoms[0].part) {
    const Atom& inner = first.atoms[0];
    int64_t both, offset;
    if (__builtin_mul_overflow(inner.divisor, divisor, &both) ||
        __builtin_mul_overflow(inner.divisor, rest.constant, &offset))
      return {};
    return Made(std::move(whole)) + (SymbolicSize(inner.part) + Number(offset)).Over(both);
  }
  const SymbolicSize part = Made(std::move(rest));
  if (!part.known()) return {};
  return Made(std::move(whole)) + Made({0, {Term{1, {Atom{{}, part.sum_, divisor}}}}});
}

SymbolicSize SymbolicSize::Quotient(const SymbolicSize& divisor) const {
  if (!sum_ || !divisor.sum_) return {};
  const Sum& by = *divisor.sum_;
  if (by.terms.empty() && by.constant < 1) return {};
  if (*this == divisor) return Number(1);
  // Of a sum nothing but itself is known to be a multiple.
  if (by.terms.size() + (by.constant != 0 ? 1 : 0) != 1) return {};
  const Term one = by.terms.empty() ? Term{by.constant, {}} : by.terms[0];
  if (one.factor < 1) return {};
  Sum sum;
  if (sum_->constant != 0) {
    if (!one.atoms.empty() || sum_->constant % one.factor != 0) return {};
    sum.constant = sum_->constant / one.factor;
  }
  for (const Term& term : sum_->terms) {
    const auto before = [](const Atom& a, const Atom& b) { return Compare(a, b) < 0; };
    if (term.factor % one.factor != 0 ||
        !std::includes(term.atoms.begin(), term.atoms.end(), one.atoms.begin(), one.atoms.end(), before))
      return {};
    Term left{term.factor / one.factor, {}};
    std::set_difference(term.atoms.begin(), term.atoms.end(), one.atoms.begin(), one.atoms.end(),
                        std::back_inserter(left.atoms), before);
    if (left.atoms.empty()) {
      sum.constant = left.factor;
    } else {
      sum.terms.push_back(std::move(left));
    }
  }
  return Made(std::move(sum));
}

bool SymbolicSize::rising() const {
  if (!sum_) return false;
  return std::all_of(sum_->terms.begin(), sum_->terms.end(), [](const Term& term) {
    return term.factor > 0 && std::all_of(term.atoms.begin(), term.atoms.end(), [](const Atom& atom) {
             return !atom.part || SymbolicSize(atom.part).rising();
           });
  });
}

int64_t SymbolicSize::At(const Sum& sum, const std::function<int64_t(const std::string&)>& size_of) {
  int64_t total = sum.constant;
  for (const Term& term : sum.terms) {
    int64_t product = term.factor;
    for (const Atom& atom : term.atoms) {
      int64_t size;
      if (!atom.part) {
        size = size_of(atom.name);
      } else {
        const int64_t inner = At(*atom.part, size_of);
        if (inner == INT64_MAX) return INT64_MAX;
        size = FloorOver(inner, atom.divisor);
      }
      if (__builtin_mul_overflow(product, size, &product)) return INT64_MAX;
    }
    if (__builtin_add_overflow(total, product, &total)) return INT64_MAX;
  }
  return total;
}

int64_t SymbolicSize::At(const std::function<int64_t(const std::string&)>& size_of) const {
  return At(*sum_, size_of);
}

std::string SymbolicSize::Text(const Sum& sum) {
  std::string text;
  for (const Term& term : sum.terms) {
    if (!text.empty() && term.factor > 0) text += '+';
    std::string product = term.factor == 1 ? "" : term.factor == -1 ? "-" : fmt::format("{}", term.factor);
    for (const Atom& atom : term.atoms) {
      if (!product.empty() && product != "-") product += '*';
      product += atom.part ? fmt::format("(({})/{})", Text(*atom.part), atom.divisor) : atom.name;
    }
    text += product;
  }
  if (text.empty()) return fmt::format("{}", sum.constant);
  return sum.constant == 0 ? text : text + fmt::format("{:+}", sum.constant);
}

std::string SymbolicSize::Text() const { return sum_ ? Text(*sum_) : "?"; }

}  // namespace strop::model
