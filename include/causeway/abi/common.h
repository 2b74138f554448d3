/* What every structure shared by BPF programs and user space builds on. Plain C; both sides compile it. */
#pragma once

#include <linux/types.h>

#ifdef __bpf__
#define CW_STATIC_ASSERT(condition, text) _Static_assert(condition, text)
#else
#ifdef __cplusplus
#include <cstddef>
#define CW_STATIC_ASSERT(condition, text) static_assert(condition, text)
#else
#include <stddef.h>
#define CW_STATIC_ASSERT(condition, text) _Static_assert(condition, text)
#endif
#endif

/* Arithmetic that both sides compile. */
#define CW_PURE static inline __attribute__((always_inline))

#define CW_ASSERT_SIZE(type, size) CW_STATIC_ASSERT(sizeof(struct type) == (size), #type " changed its size")
#define CW_ASSERT_OFFSET(type, member, offset) \
  CW_STATIC_ASSERT(__builtin_offsetof(struct type, member) == (offset), #type "." #member " moved")
