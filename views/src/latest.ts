// The order of the page's calls: one after another, and of a slider's many moves only the last one.

/** Does pieces of work one after another. */
export class Queue {
  private last: Promise<unknown> = Promise.resolve();

  /** Does the work once all work before it has ended. */
  add<Result>(work: () => Promise<Result>): Promise<Result> {
    const result = this.last.then(work);
    this.last = result.catch(() => undefined);
    return result;
  }
}

/** Does `work` of an item in the queue, `pause` milliseconds after it was submitted for the last time. */
export class Latest<Item> {
  private readonly waiting = new Set<Item>();
  private timer: ReturnType<typeof setTimeout> | undefined;

  constructor(
    private readonly queue: Queue,
    private readonly pause: number,
    private readonly work: (item: Item) => Promise<void>,
  ) {}

  submit(item: Item): void {
    this.waiting.add(item);
    clearTimeout(this.timer);
    this.timer = setTimeout(() => {
      for (const each of this.waiting) void this.queue.add(() => this.begin(each));
    }, this.pause);
  }

  /** Whether the item was submitted again, so that the result of the work in hand is not the last word. */
  isWaiting(item: Item): boolean {
    return this.waiting.has(item);
  }

  /** An item that stands in the queue twice is worked on once, as it is by then. */
  private async begin(item: Item): Promise<void> {
    if (this.waiting.delete(item)) await this.work(item);
  }
}
