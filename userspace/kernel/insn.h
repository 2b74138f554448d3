#pragma once
// BPF instructions by name, for the minimal programs that probe the kernel.
#include <cstdint>

#include <linux/bpf.h>

namespace causeway::kernel::insn {

constexpr bpf_insn make(int code, int dst, int src, int off, int imm) {
  bpf_insn i{};
  i.code = static_cast<std::uint8_t>(code);
  i.dst_reg = static_cast<std::uint8_t>(dst & 0xf);
  i.src_reg = static_cast<std::uint8_t>(src & 0xf);
  i.off = static_cast<std::int16_t>(off);
  i.imm = imm;
  return i;
}
constexpr bpf_insn set(int dst, int value) {
  return make(BPF_ALU64 | 0xb0 | BPF_K, dst, 0, 0, value);
}
constexpr bpf_insn move(int dst, int src) {
  return make(BPF_ALU64 | 0xb0 | BPF_X, dst, src, 0, 0);
}
constexpr bpf_insn load(int size, int dst, int src, int off) {
  return make(BPF_LDX | size | BPF_MEM, dst, src, off, 0);
}
constexpr bpf_insn call(int helper) {
  return make(BPF_JMP | 0x80, 0, 0, 0, helper);
}
/// A kernel function (kfunc) by its BTF id.
constexpr bpf_insn call_kernel(int function) {
  return make(BPF_JMP | 0x80, 0, BPF_PSEUDO_KFUNC_CALL, 0, function);
}
constexpr bpf_insn exit() {
  return make(BPF_JMP | 0x90, 0, 0, 0, 0);
}
constexpr bpf_insn jump_equal(int dst, int value, int off) {
  return make(BPF_JMP | BPF_JEQ | BPF_K, dst, 0, off, value);
}
constexpr bpf_insn jump_not_equal(int dst, int src, int off) {
  return make(BPF_JMP | 0x50 | BPF_X, dst, src, off, 0);
}
/// The first half of a 16-byte load of a map's address; `map_second_half()` must follow.
constexpr bpf_insn load_map(int dst, int fd) {
  return make(BPF_LD | 0x18 | BPF_IMM, dst, BPF_PSEUDO_MAP_FD, 0, fd);
}
constexpr bpf_insn second_half() {
  return make(0, 0, 0, 0, 0);
}

}  // namespace causeway::kernel::insn
