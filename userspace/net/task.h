#pragma once
// Coroutines of the data path. A Task starts when it is awaited, on the awaiting one's stack, and has one owner: the
// coroutine that awaits it. docs/decisions/003 says why they are not Asio's.
#include <coroutine>
#include <cstddef>
#include <exception>
#include <optional>
#include <utility>

namespace causeway::net {

/// Memory of coroutine frames: a connection makes and drops several a request. Kept by thread, given back beyond a
/// small stock.
void* take_frame(std::size_t bytes);
void give_back_frame(void* frame, std::size_t bytes) noexcept;

template <class T>
class Task;

namespace task {

struct PromiseBase {
  static void* operator new(std::size_t bytes) { return take_frame(bytes); }
  static void operator delete(void* frame, std::size_t bytes) noexcept { give_back_frame(frame, bytes); }

  /// A plain resume() in both directions instead of symmetric transfer: that needs tail calls, which g++ makes only when
  /// it optimises, and without them a loop over tasks that never wait would use up the stack.
  struct Final {
    bool await_ready() const noexcept { return false; }
    template <class Promise>
    void await_suspend(std::coroutine_handle<Promise> ended) const noexcept {
      PromiseBase& promise = ended.promise();
      if (!promise.starting) promise.awaiting.resume();  // may destroy this frame: nothing behind it
    }
    void await_resume() const noexcept {}
  };

  std::suspend_always initial_suspend() const noexcept { return {}; }
  Final final_suspend() const noexcept { return {}; }
  void unhandled_exception() noexcept { failure = std::current_exception(); }

  std::coroutine_handle<> awaiting;
  std::exception_ptr failure;
  bool starting = false;  ///< still inside the call that started it: the starter sees whether it has ended
};

template <class T>
struct Promise : PromiseBase {
  Task<T> get_return_object();
  template <class U>
  void return_value(U&& result) {
    value.emplace(std::forward<U>(result));
  }
  T take() {
    if (failure != nullptr) std::rethrow_exception(failure);
    return std::move(*value);
  }
  std::optional<T> value;
};

template <>
struct Promise<void> : PromiseBase {
  Task<void> get_return_object();
  void return_void() const noexcept {}
  void take() const {
    if (failure != nullptr) std::rethrow_exception(failure);
  }
};

}  // namespace task

/// Move-only; awaited at most once. What it refers to must live until it has ended. Not thread-safe.
template <class T = void>
class [[nodiscard]] Task {
 public:
  using promise_type = task::Promise<T>;

  explicit Task(std::coroutine_handle<promise_type> coroutine) : coroutine_(coroutine) {}
  Task(Task&& other) noexcept : coroutine_(std::exchange(other.coroutine_, {})) {}
  Task& operator=(Task&&) = delete;
  ~Task() {
    if (coroutine_) coroutine_.destroy();
  }

  bool await_ready() const noexcept { return false; }
  /// False, and so no suspension, if it ended without waiting.
  bool await_suspend(std::coroutine_handle<> awaiting) {
    auto& promise = coroutine_.promise();
    promise.awaiting = awaiting;
    promise.starting = true;
    coroutine_.resume();
    promise.starting = false;
    return !coroutine_.done();
  }
  T await_resume() { return coroutine_.promise().take(); }

 private:
  std::coroutine_handle<promise_type> coroutine_;
};

template <class T>
Task<T> task::Promise<T>::get_return_object() {
  return Task<T>(std::coroutine_handle<Promise>::from_promise(*this));
}
inline Task<void> task::Promise<void>::get_return_object() {
  return Task<void>(std::coroutine_handle<Promise>::from_promise(*this));
}

namespace task {

/// Nobody's: runs at once, and frees itself at its end.
struct Detached {
  struct promise_type {
    static void* operator new(std::size_t bytes) { return take_frame(bytes); }
    static void operator delete(void* frame, std::size_t bytes) noexcept { give_back_frame(frame, bytes); }
    Detached get_return_object() const noexcept { return {}; }
    std::suspend_never initial_suspend() const noexcept { return {}; }
    std::suspend_never final_suspend() const noexcept { return {}; }
    void return_void() const noexcept {}
    void unhandled_exception() const noexcept { std::terminate(); }
  };
};

template <class OnEnd>
Detached run(Task<> started, OnEnd on_end) {
  std::exception_ptr failure;
  try {
    co_await std::move(started);
  } catch (...) {
    failure = std::current_exception();
  }
  on_end(std::move(failure));
}

}  // namespace task

/// Starts it now, without an owner; `on_end` (an std::exception_ptr) is called when it has ended and must not throw.
template <class OnEnd>
void spawn(Task<> started, OnEnd on_end) {
  task::run(std::move(started), std::move(on_end));
}

}  // namespace causeway::net
