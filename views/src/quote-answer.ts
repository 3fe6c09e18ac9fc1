// The answer of `quote_payments`, as far as the view shows it. What the upstream does not say is absent.

export interface Deal {
  monthly_payment?: number;
  term_months?: number;
  price?: number;
  msrp?: number;
  rebate?: number;
  trade_equity?: number;
  down_payment?: number;
  due_at_signing?: number;
  due_at_signing_parts?: Record<string, number>;
  due_to_customer?: number;
  total_fees?: number;
  sales_tax?: number;
  total_cost?: number;
  total_financed?: number;
  total_interest?: number;
  apr_percent?: number;
  money_factor?: number;
  rate_percent?: number;
  monthly_tax?: number;
  annual_miles?: number;
  acquisition_fee?: number;
  overage_per_mile?: number;
  cap_cost?: number;
  residual_value?: number;
  residual_percent?: number;
  lender?: string;
  program?: string;
  program_expires?: string;
  /** The figures that can hardly be right, each with what is odd about it. */
  doubts?: Record<string, string>;
}

export const DEAL_NAMES = ["cash", "finance", "lease"] as const;
export type DealName = (typeof DEAL_NAMES)[number];

type Shared = "msrp" | "price" | "rebate" | "trade_equity" | "lender";

export interface IncentiveRow {
  name?: string;
  title?: string;
  amount?: number;
  expires_at?: string;
  /** The deals that have it, absent where all have it. Amounts may differ, so a name can have several rows. */
  deals?: string[];
}

/** What the law asks to stand beside each payment: the names of figures, and of those that the upstream does not have. */
export interface Disclosures {
  say: string[];
  missing: string[];
  wording?: string[];
}

/** What each deal of the answer has, and has alike, stands beside them. */
export interface Quote extends Partial<Record<DealName, Deal>>, Pick<Deal, Shared> {
  vin: string;
  vehicle?: string;
  stock?: string;
  unpriced?: boolean;
  as_of?: string;
  /** The last day of all programs and rebates, where it is the same. */
  expires?: string;
  plans?: { title?: string; tier?: string; price?: number; deals?: string[] }[];
  rebates?: { name?: string; amount?: number; expires?: string; deals?: string[] }[];
  not_applied?: string[];
  assumed?: string[];
  disclosures?: Disclosures;
  caveat?: string;
  unread?: string[];
  details?: {
    terms?: Record<string, Record<string, unknown>>;
    vehicle?: Record<string, unknown>;
    incentives?: IncentiveRow[];
  };
  hint?: string;
}

export interface Plan {
  id: number;
  code?: string;
  title?: string;
  tiers: { code?: string; title?: string; price?: number }[];
}

/** The dealer's own figures among the details: no customer sees them. */
export const DEALERS_OWN: Record<string, string> = {
  profit: "Profit",
  total_contribution: "Dealer's contribution",
  dealer_cash: "Dealer cash",
  total_financed_before_subsidy: "Financed before subsidy",
  invoice: "Invoice",
};
