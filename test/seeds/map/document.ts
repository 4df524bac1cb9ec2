/** One heading of a document that the product comes from. */
export interface SeedHeading {
  /** As the document has it, without its number signs and pictures. */
  readonly heading: string
  readonly level: 2 | 3 | 4
  /** What the document says or promises there, in a few words; its numbers as they stand. */
  readonly says: string
  /** Files and folders of the repository. */
  readonly where: readonly string[]
  /** `test/store/capture.test.ts: title`, or the beginning of the title and `…`. Empty for a heading with nothing to hold. */
  readonly tests: readonly string[]
  /** Where a document contradicts itself, another, or a promise of ours. */
  readonly decided?: string
}

export interface SeedDocument {
  readonly title: string
  /** The service that runs it. */
  readonly service: string
  /** In the document's order, every one of them. */
  readonly headings: readonly SeedHeading[]
}
