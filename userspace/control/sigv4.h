#pragma once
// AWS Signature Version 4, the verifying side.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/create-signed-request.html
#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "control/api.h"

namespace causeway::control {

/// The credential scope of a signed request.
struct CredentialScope {
  std::string access_key_id;
  std::string date;  ///< YYYYMMDD
  std::string region;
  std::string service;

  std::string text() const { return date + "/" + region + "/" + service + "/aws4_request"; }
};

/// How far a client's clock may be off, either way.
inline constexpr std::chrono::minutes kClockSkew{15};

/// Checks the Authorization header: known key, time within kClockSkew, signature over what was received (body
/// included). Empty when it holds (`scope` is then filled), otherwise what to answer.
std::optional<ApiError> verify_signature(const web::Request& request, const Credentials& credentials, WallTime now,
                                         CredentialScope& scope);

/// Names in lower case and sorted, as SignedHeaders lists them.
std::string canonical_request(const web::Request& request, const std::vector<std::string>& signed_headers);
/// The signature in hexadecimal. `time` is YYYYMMDDTHHMMSSZ.
std::string signature(std::string_view secret_access_key, const CredentialScope& scope, std::string_view time,
                      std::string_view canonical_request);
std::string sha256_hex(std::string_view data);

}  // namespace causeway::control
