import { expect, test } from 'vitest'
import { checksumOf } from '../../src/core/checksum.ts'

test('is SHA-256 in lower-case hex, of bytes or of the UTF-8 form of a text', () => {
  // FIPS 180-2, appendix B.1
  expect(checksumOf('abc')).toBe('ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad')
  expect(checksumOf(Buffer.from('é😀'))).toBe(checksumOf('é😀'))
  expect(checksumOf(Buffer.from('xabcx').subarray(1, 4))).toBe(checksumOf('abc'))
})
