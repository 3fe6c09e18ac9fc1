// A person moves a slider faster than a server answers: at most one piece of work runs, and the last one wins.

export class Latest<Item> {
  private waiting: { item: Item } | undefined;
  private timer: ReturnType<typeof setTimeout> | undefined;
  private isBusy = false;

  /** Does `work` of the last item, `pause` milliseconds after it came and after the work before has ended. */
  constructor(
    private readonly pause: number,
    private readonly work: (item: Item) => Promise<void>,
  ) {}

  submit(item: Item): void {
    this.waiting = { item };
    clearTimeout(this.timer);
    this.timer = setTimeout(() => void this.run(), this.pause);
  }

  /** Whether a newer item waits, so that the result of the work in hand is not the last word. */
  get hasNewer(): boolean {
    return this.waiting !== undefined;
  }

  private async run(): Promise<void> {
    if (this.isBusy || this.waiting === undefined) return;
    const { item } = this.waiting;
    this.waiting = undefined;
    this.isBusy = true;
    try {
      await this.work(item);
    } finally {
      this.isBusy = false;
    }
    if (this.waiting !== undefined) this.submit((this.waiting as { item: Item }).item);
  }
}
