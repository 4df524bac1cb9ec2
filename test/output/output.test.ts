import { describe, expect, it } from 'vitest'
import { EvtError } from '../../src/core/errors.ts'
import { createOutput, type OutputFormat } from '../../src/output/output.ts'
import { createPaint } from '../../src/output/paint.ts'
import { createSink } from '../../src/output/sink.ts'
import { createStream } from './stream.ts'

function setUp(format: OutputFormat, verbosity: 'quiet' | 'normal' | 'verbose' = 'normal') {
  const [stdout, stderr] = [createStream(), createStream()]
  const output = createOutput({
    command: 'dlq list',
    format,
    verbosity,
    stdout: createSink(stdout),
    stderr: createSink(stderr),
    paint: createPaint(false),
    paintNotice: createPaint(false),
  })
  return { output, stdout, stderr }
}
const result = { data: { count: 2 }, meta: { scanned: 9 }, render: () => 'two of them' }

describe('output', () => {
  it('renders a result as text for a person', async () => {
    const { output, stdout } = setUp('text')
    output.result(result)
    await output.flush()
    expect(stdout.text).toBe('two of them\n')
  })

  it('puts exactly one document on stdout as JSON, with the notices in it', async () => {
    const { output, stdout, stderr } = setUp('json')
    output.notice('looked everywhere')
    output.result(result)
    await output.flush()
    expect(JSON.parse(stdout.text)).toEqual({
      schema: 'evt/dlq.list/1',
      command: 'dlq list',
      status: 'pass',
      data: { count: 2 },
      diagnostics: [{ level: 'notice', message: 'looked everywhere' }],
      meta: { scanned: 9 },
    })
    expect(stderr.text).toBe('looked everywhere\n')
  })

  it('answers a failure with a document too, but never with a second one', async () => {
    const failed = setUp('json')
    failed.output.failure({ level: 'error', code: 'connect', message: 'cannot connect', hint: 'start it' })
    await failed.output.flush()
    expect(JSON.parse(failed.stdout.text)).toMatchObject({
      status: 'error',
      data: null,
      diagnostics: [{ code: 'connect' }],
    })
    const answered = setUp('json')
    answered.output.result(result)
    answered.output.failure({ level: 'error', message: 'too late' })
    await answered.output.flush()
    expect(answered.stdout.text.trim().split('\n').length).toBe(1)
  })

  it('prints one object a result as NDJSON and nothing with none', async () => {
    const lines = setUp('ndjson')
    lines.output.result(result)
    await lines.output.flush()
    expect(lines.stdout.text).toBe('{"count":2}\n')
    const silent = setUp('none')
    silent.output.result(result)
    void silent.output.write('data\n')
    await silent.output.flush()
    expect(silent.stdout.text).toBe('')
  })

  it('keeps quiet when asked to, and tells more when asked to', async () => {
    const quiet = setUp('text', 'quiet')
    quiet.output.notice('one')
    await quiet.output.flush()
    expect(quiet.stderr.text).toBe('')
    const normal = setUp('text')
    normal.output.detail('two')
    await normal.output.flush()
    expect(normal.stderr.text).toBe('')
    const verbose = setUp('text', 'verbose')
    verbose.output.detail('two')
    await verbose.output.flush()
    expect(verbose.stderr.text).toBe('two\n')
  })

  it('prints results of any depth', async () => {
    const deep = '['.repeat(50_000) + ']'.repeat(50_000)
    for (const format of ['json', 'ndjson'] as const) {
      const { output, stdout } = setUp(format)
      output.result({ ...result, data: JSON.parse(deep) })
      await output.flush()
      expect(stdout.text).toContain(deep)
    }
  })

  it('says what went wrong as an ending command does, also when it goes on or is to be quiet', async () => {
    const problem = new EvtError('decode', 'cannot read line 2', { hint: 'look at it' })
    for (const verbosity of ['normal', 'quiet'] as const) {
      const { output, stdout, stderr } = setUp('json', verbosity)
      output.problem(problem)
      output.result(result)
      await output.flush()
      expect(stderr.text).toBe('evt: cannot read line 2\nhint: look at it\n')
      const diagnostic = { level: 'error', code: 'decode', message: 'cannot read line 2', hint: 'look at it' }
      expect(JSON.parse(stdout.text).diagnostics).toEqual([diagnostic])
    }
  })

  it('falls silent when the reader has left, and only then', async () => {
    const [left, full] = [setUp('text'), setUp('text')]
    left.stdout.fail('EPIPE')
    full.stdout.fail('ENOSPC')
    for (const { output } of [left, full]) output.notice('confirmed 3')
    await Promise.all([left.output.flush(), full.output.flush()])
    expect([left.stderr.text, full.stderr.text]).toEqual(['', 'confirmed 3\n'])
  })

  it('makes what it says of untrusted things visible', async () => {
    const { output, stderr } = setUp('text')
    output.warn('no handler for \u001b[31mred\u0007')
    await output.flush()
    expect(stderr.text).toBe('no handler for \\x1b[31mred\\x07\n')
  })
})
