#include "control/sigv4.h"

#include <algorithm>
#include <array>
#include <cstdlib>
#include <ctime>
#include <utility>

#include <fmt/core.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/sha.h>
#include <strings.h>

namespace causeway::control {
namespace {

using Digest = std::array<unsigned char, SHA256_DIGEST_LENGTH>;

constexpr std::string_view kAlgorithm = "AWS4-HMAC-SHA256";
constexpr const char* kHint = "run: eval \"$(causeway env)\" (as root) and call again";

std::string hex(const Digest& digest) {
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string out;
  for (const unsigned char byte : digest) {
    out += kDigits[byte >> 4];
    out += kDigits[byte & 15];
  }
  return out;
}

Digest hmac(std::string_view key, std::string_view data) {
  Digest out{};
  unsigned length = 0;
  const auto* bytes = reinterpret_cast<const unsigned char*>(data.data());
  if (HMAC(EVP_sha256(), key.data(), static_cast<int>(key.size()), bytes, data.size(), out.data(), &length) ==
      nullptr) {
    std::abort();  // only without memory; a digest of zeros must never be compared
  }
  return out;
}

std::string_view view(const Digest& digest) {
  return {reinterpret_cast<const char*>(digest.data()), digest.size()};
}

bool unreserved(char c) {
  return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '.' ||
         c == '_' || c == '~';
}

std::string uri_encode(std::string_view text, bool keep_slash) {
  std::string out;
  for (const char c : text) {
    if (unreserved(c) || (c == '/' && keep_slash))
      out += c;
    else
      out += fmt::format("%{:02X}", static_cast<unsigned char>(c));
  }
  return out;
}

std::string uri_decode(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    unsigned value = 0;
    if (text[i] == '%' && i + 2 < text.size() &&
        std::sscanf(std::string(text.substr(i + 1, 2)).c_str(), "%2x", &value) == 1) {
      out += static_cast<char>(value);
      i += 2;
    } else {
      out += text[i];
    }
  }
  return out;
}

std::string canonical_query(std::string_view query) {
  std::vector<std::pair<std::string, std::string>> parameters;
  while (!query.empty()) {
    const auto pair = query.substr(0, query.find('&'));
    query.remove_prefix(std::min(query.size(), pair.size() + 1));
    if (pair.empty()) continue;
    const auto equals = pair.find('=');
    const auto value = equals == std::string_view::npos ? std::string_view() : pair.substr(equals + 1);
    parameters.emplace_back(uri_encode(uri_decode(pair.substr(0, equals)), false),
                            uri_encode(uri_decode(value), false));
  }
  std::sort(parameters.begin(), parameters.end());
  std::string out;
  for (const auto& [name, value] : parameters) out += (out.empty() ? "" : "&") + name + "=" + value;
  return out;
}

/// Without space around it, runs of spaces as one.
std::string trimmed(std::string_view value) {
  std::string out;
  for (const char c : value) {
    const bool space = c == ' ' || c == '\t';
    if (space && (out.empty() || out.back() == ' ')) continue;
    out += space ? ' ' : c;
  }
  if (!out.empty() && out.back() == ' ') out.pop_back();
  return out;
}

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  return out;
}

std::vector<std::string> split(std::string_view text, char separator) {
  std::vector<std::string> parts;
  for (;;) {
    const auto end = text.find(separator);
    parts.emplace_back(text.substr(0, end));
    if (end == std::string_view::npos) return parts;
    text.remove_prefix(end + 1);
  }
}

ApiError refused(std::string type, std::string message) {
  return ApiError{403, std::move(type), std::move(message), {}};
}

ApiError invalid(std::string message) {
  return refused("InvalidSignatureException", std::move(message));
}

struct Authorization {
  CredentialScope scope;
  std::vector<std::string> signed_headers;
  std::string signature;
};

/// "AWS4-HMAC-SHA256 Credential=…, SignedHeaders=…, Signature=…"
std::optional<Authorization> parse_authorization(std::string_view text) {
  if (!text.starts_with(kAlgorithm)) return std::nullopt;
  text.remove_prefix(kAlgorithm.size());
  Authorization out;
  for (const auto& part : split(text, ',')) {
    const auto field = trimmed(part);
    const auto equals = field.find('=');
    if (equals == std::string::npos) return std::nullopt;
    const auto name = field.substr(0, equals);
    const auto value = field.substr(equals + 1);
    if (name == "Credential") {
      const auto parts = split(value, '/');
      if (parts.size() != 5 || parts[4] != "aws4_request") return std::nullopt;
      out.scope = {parts[0], parts[1], parts[2], parts[3]};
    } else if (name == "SignedHeaders") {
      out.signed_headers = split(value, ';');
    } else if (name == "Signature") {
      out.signature = value;
    }
  }
  if (out.scope.access_key_id.empty() || out.signed_headers.empty() || out.signature.empty()) return std::nullopt;
  return out;
}

std::optional<WallTime> parse_time(const std::string& text) {
  if (text.size() != 16) return std::nullopt;
  std::tm fields{};
  const char* end = ::strptime(text.c_str(), "%Y%m%dT%H%M%SZ", &fields);
  if (end == nullptr || *end != '\0') return std::nullopt;
  return std::chrono::system_clock::from_time_t(::timegm(&fields));
}

/// What must be under the signature for it to mean anything: the host, and every x-amz- header (the operation is one).
std::optional<std::string> unsigned_header(const web::Request& request,
                                           const std::vector<std::string>& signed_headers) {
  const auto covered = [&](const std::string& name) {
    return std::find(signed_headers.begin(), signed_headers.end(), name) != signed_headers.end();
  };
  if (!covered("host")) return "host";
  for (const auto& header : request.headers) {
    const auto name = lower(header.name);
    if (name.starts_with("x-amz-") && !covered(name)) return name;
  }
  return std::nullopt;
}

std::optional<ApiError> check_time(const std::string& time, const std::string& scope_date, WallTime now) {
  const auto signed_at = parse_time(time);
  if (!signed_at) {
    return refused("IncompleteSignatureException",
                   fmt::format("X-Amz-Date must be YYYYMMDDTHHMMSSZ, got \"{}\"", time.substr(0, 64)));
  }
  if (time.substr(0, 8) != scope_date) {
    return invalid(
        fmt::format("Date in Credential scope ({}) does not match X-Amz-Date ({})", scope_date.substr(0, 64), time));
  }
  const auto off = now - *signed_at;
  if (off <= kClockSkew && -off <= kClockSkew) return std::nullopt;
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(off).count();
  return invalid(fmt::format(
      "Signature expired or not yet valid: signed at {}, {} s {} this host's clock; at most {} s are "
      "allowed. Set the client's clock (`timedatectl` shows whether it is synchronized).",
      time, std::abs(seconds), seconds > 0 ? "behind" : "ahead of", std::chrono::seconds(kClockSkew).count()));
}

}  // namespace

std::string sha256_hex(std::string_view data) {
  Digest digest{};
  SHA256(reinterpret_cast<const unsigned char*>(data.data()), data.size(), digest.data());
  return hex(digest);
}

std::string canonical_request(const web::Request& request, const std::vector<std::string>& signed_headers) {
  const auto path = request.path();
  const auto mark = request.target.find('?');
  std::string out = request.method + "\n";
  out += (path.empty() ? "/" : uri_encode(path, true)) + "\n";
  out += canonical_query(mark == std::string::npos ? std::string_view()
                                                   : std::string_view(request.target).substr(mark + 1));
  out += "\n";
  std::string names;
  for (const auto& name : signed_headers) {
    std::string values;
    bool first = true;
    for (const auto& header : request.headers) {
      if (::strcasecmp(header.name.c_str(), name.c_str()) != 0) continue;
      values += (std::exchange(first, false) ? "" : ",") + trimmed(header.value);
    }
    out += name + ":" + values + "\n";
    names += (names.empty() ? "" : ";") + name;
  }
  return out + "\n" + names + "\n" + sha256_hex(request.body);
}

std::string signature(std::string_view secret_access_key, const CredentialScope& scope, std::string_view time,
                      std::string_view canonical_request) {
  const auto to_sign = fmt::format("{}\n{}\n{}\n{}", kAlgorithm, time, scope.text(), sha256_hex(canonical_request));
  auto key = hmac("AWS4" + std::string(secret_access_key), scope.date);
  for (const std::string_view part :
       {std::string_view(scope.region), std::string_view(scope.service), std::string_view("aws4_request")}) {
    key = hmac(view(key), part);
  }
  return hex(hmac(view(key), to_sign));
}

std::optional<ApiError> verify_signature(const web::Request& request, const Credentials& credentials, WallTime now,
                                         CredentialScope& scope) {
  const auto header = request.header("authorization");
  if (header.empty()) {
    return refused("MissingAuthenticationTokenException",
                   fmt::format("The request is not signed. Every request to Causeway's API is signed with Signature "
                               "Version 4; {}. (Do not use --no-sign-request.)",
                               kHint));
  }
  const auto authorization = parse_authorization(header);
  if (!authorization) {
    return refused(
        "IncompleteSignatureException",
        "The Authorization header is not \"AWS4-HMAC-SHA256 Credential=KEY/DATE/REGION/SERVICE/aws4_request, "
        "SignedHeaders=..., Signature=...\"");
  }
  if (authorization->scope.access_key_id != credentials.access_key_id) {
    return refused("UnrecognizedClientException",
                   fmt::format("The access key \"{}\" is not this agent's; {}",
                               authorization->scope.access_key_id.substr(0, 128), kHint));
  }
  if (const auto name = unsigned_header(request, authorization->signed_headers)) {
    return invalid(fmt::format("The header {} is not among SignedHeaders; sign it too", name->substr(0, 128)));
  }
  const std::string time(request.header("x-amz-date"));
  if (auto late = check_time(time, authorization->scope.date, now)) return late;
  const auto payload = request.header("x-amz-content-sha256");
  if (!payload.empty() && payload != sha256_hex(request.body)) {
    return invalid("X-Amz-Content-Sha256 is not the SHA-256 of the body that arrived");
  }
  const auto expected = signature(credentials.secret_access_key, authorization->scope, time,
                                  canonical_request(request, authorization->signed_headers));
  // Constant time: how many digits were right must not show.
  if (authorization->signature.size() != expected.size() ||
      CRYPTO_memcmp(authorization->signature.data(), expected.data(), expected.size()) != 0) {
    return invalid(
        fmt::format("The request signature we calculated does not match the signature you provided. The key id "
                    "is right, so the secret key is another one (the agent's key pair was made anew?), or "
                    "something changed the request on its way; {}",
                    kHint));
  }
  scope = authorization->scope;
  return std::nullopt;
}

}  // namespace causeway::control
