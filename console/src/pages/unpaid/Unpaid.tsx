// What was used without money for it, and what is held for somebody's review.

import { Tabs } from 'antd';
import { useSearchParams } from 'react-router';
import { useMay } from '../../auth/session';
import { useTexts } from '../../i18n/language';
import type { BulkAction } from '../../ui/BulkBar';
import { EmptyState } from '../../ui/EmptyState';
import { PageHead } from '../../ui/PageHead';
import { ChargeTable, deeds, useChargesAgain } from '../charges/ChargeTable';
import type { Charge } from '../charges/columns';
import { chargeTexts } from '../charges/texts';
import { unpaidTexts } from './texts';

export default function Unpaid() {
  const t = useTexts(unpaidTexts);
  const [search, setSearch] = useSearchParams();
  return (
    <div className="page">
      <PageHead title={t.title} lead={t.lead} />
      <Tabs
        activeKey={search.get('tab') ?? 'unpaid'}
        destroyOnHidden
        onChange={(tab) => {
          setSearch({ tab });
        }}
        items={[
          { key: 'unpaid', label: t.unpaid, children: <Owed /> },
          { key: 'review', label: t.review, children: <Review /> },
        ]}
      />
    </div>
  );
}

function Owed() {
  const t = useTexts(unpaidTexts);
  const said = useTexts(chargeTexts);
  const again = useChargesAgain();
  const refuse = useRefuse();
  const bulk: readonly BulkAction<Charge>[] = [
    {
      key: 'settle',
      label: said.settle,
      question: (charges) => t.settleMany(charges.length),
      canUndo: true, // a charge can be refunded
      act: (charge) => deeds.settle(charge),
      onDone: again,
    },
    refuse,
  ];
  return (
    <ChargeTable
      label={t.unpaid}
      common={UNPAID}
      prefix="unpaid_"
      empty={<EmptyState title={t.noUnpaid} hint={t.noUnpaidHint} />}
      {...(useMay('operate') ? { bulk } : {})}
    />
  );
}

function Review() {
  const t = useTexts(unpaidTexts);
  const said = useTexts(chargeTexts);
  const again = useChargesAgain();
  const refuse = useRefuse();
  const bulk: readonly BulkAction<Charge>[] = [
    {
      key: 'approve',
      label: said.approve,
      question: (charges) => t.approveMany(charges.length),
      canUndo: true, // a charge can be refunded
      act: (charge) => deeds.approve(charge),
      onDone: again,
    },
    refuse,
  ];
  return (
    <ChargeTable
      label={t.review}
      common={REVIEW}
      prefix="review_"
      empty={<EmptyState title={t.noReview} hint={t.noReviewHint} />}
      {...(useMay('operate') ? { bulk } : {})}
    />
  );
}

const UNPAID = { state: 'unpaid' };
const REVIEW = { state: 'review' };

function useRefuse(): BulkAction<Charge> {
  const t = useTexts(unpaidTexts);
  const said = useTexts(chargeTexts);
  const again = useChargesAgain();
  return {
    key: 'reject',
    label: said.reject,
    isDanger: true,
    question: (charges) => t.rejectMany(charges.length),
    act: (charge) => deeds.reject(charge),
    onDone: again,
  };
}
