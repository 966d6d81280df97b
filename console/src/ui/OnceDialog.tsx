// What is shown once and never again: nothing but saying that it was taken closes it.

import { Button, Modal } from 'antd';
import type { ReactNode } from 'react';

interface Props {
  readonly title: string;
  readonly isOpen: boolean;
  readonly doneLabel: string;
  readonly onDone: () => void;
  readonly children: ReactNode;
}

export function OnceDialog({ title, isOpen, doneLabel, onDone, children }: Props) {
  return (
    <Modal
      title={title}
      open={isOpen}
      width={640}
      mask={{ closable: false }}
      keyboard={false}
      closable={false}
      footer={
        <Button type="primary" onClick={onDone}>
          {doneLabel}
        </Button>
      }
    >
      {children}
    </Modal>
  );
}
