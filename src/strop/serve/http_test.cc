#include "strop/serve/http.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace strop::serve {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::Pair;

TEST(ParseTarget, SplitsAndDecodes) {
  HttpRequest request;
  ParseTarget("/v2/models/a%20b/infer?limit=3&x=%26y&empty", &request);
  EXPECT_THAT(request.path, ElementsAre("v2", "models", "a b", "infer"));
  EXPECT_THAT(request.query, ElementsAre(Pair("empty", ""), Pair("limit", "3"), Pair("x", "&y")));
}

TEST(ParseTarget, EmptySegmentsAndFragmentsVanish) {
  HttpRequest request;
  ParseTarget("//v2//#frag?x=1", &request);
  EXPECT_THAT(request.path, ElementsAre("v2"));
  EXPECT_THAT(request.query, IsEmpty());
}

TEST(ParseTarget, DecodesAnEscapedSlashInsideASegment) {
  HttpRequest request;
  ParseTarget("/a%2Fb", &request);
  EXPECT_THAT(request.path, ElementsAre("a/b"));
}

TEST(ParseTarget, RefusesBadPercentSequences) {
  for (const char* target : {"/%", "/%2", "/%zz", "/a?b=%g0"}) {
    HttpRequest request;
    EXPECT_THROW(ParseTarget(target, &request), Error) << target;
  }
}

TEST(ErrorResponse, IsJsonWhateverTheMessage) {
  EXPECT_EQ(ErrorResponse(400, "say \"no\"").body, R"({"error":"say \"no\""})");
  EXPECT_EQ(ErrorResponse(400, "\xff").body, "{\"error\":\"\xEF\xBF\xBD\"}");
}

TEST(StatusOf, CallersFaultsAre4xxAndOurs5xx) {
  EXPECT_EQ(StatusOf(Code::kInvalidArgument), 400);
  EXPECT_EQ(StatusOf(Code::kNotFound), 404);
  EXPECT_EQ(StatusOf(Code::kUnavailable), 503);
  EXPECT_EQ(StatusOf(Code::kInternal), 500);
}

}  // namespace
}  // namespace strop::serve
