#pragma once
// Snapshots as deltas: the encoder finds what changed, the applier builds the next snapshot from the one before.
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "model/snapshot.h"

namespace causeway::feed {

/// The messages (unframed) that lead from `before` (null: from nothing) to `after`. Services are compared by pointer,
/// as the snapshot compiler keeps the pointer of what did not change. Never empty: the revision itself is news.
std::vector<std::string> encode_delta(const Snapshot* before, const Snapshot& after);

std::string encode_drain();
std::string encode_acknowledgement(Revision revision);
Result<Revision> decode_acknowledgement(std::string_view message);

/// Applies messages of encode_delta() and encode_drain(), one after another.
class Applier {
 public:
  struct Outcome {
    SnapshotPtr snapshot;  ///< set with the last part of a delta
    bool drain = false;
  };
  /// An Error names what is wrong in the message; the snapshot before stays as it was, and nothing more can be applied.
  Result<Outcome> apply(std::string_view message);
  const SnapshotPtr& current() const { return current_; }

 private:
  SnapshotPtr current_;
  std::unique_ptr<Snapshot> next_;  ///< being built from parts
};

}  // namespace causeway::feed
