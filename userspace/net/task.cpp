#include "net/task.h"

#include <array>
#include <new>

namespace causeway::net {
namespace {

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr bool kPooled = false;  // kept frames would hide uses behind their end
#else
constexpr bool kPooled = true;
#endif

constexpr std::size_t kStep = 64;
constexpr std::size_t kClasses = 40;  ///< frames of up to 2,560 bytes; larger ones go to the heap
constexpr unsigned kKept = 64;        ///< of each class

struct Frames {
  struct Free {
    Free* next;
  };
  struct Class {
    Free* first = nullptr;
    unsigned kept = 0;
  };
  std::array<Class, kClasses> classes;

  ~Frames() {
    for (Class& c : classes) {
      while (c.first != nullptr) ::operator delete(std::exchange(c.first, c.first->next));
    }
  }
};

thread_local Frames frames;

std::size_t class_of(std::size_t bytes) {
  return (bytes - 1) / kStep;
}

}  // namespace

void* take_frame(std::size_t bytes) {
  const std::size_t index = class_of(bytes);
  if (!kPooled || index >= kClasses) return ::operator new(bytes);
  auto& c = frames.classes[index];
  if (c.first == nullptr) return ::operator new((index + 1) * kStep);
  --c.kept;
  return std::exchange(c.first, c.first->next);
}

void give_back_frame(void* frame, std::size_t bytes) noexcept {
  const std::size_t index = class_of(bytes);
  if (!kPooled || index >= kClasses || frames.classes[index].kept >= kKept) return ::operator delete(frame);
  auto& c = frames.classes[index];
  c.first = new (frame) Frames::Free{c.first};
  ++c.kept;
}

}  // namespace causeway::net
