import { RocketOutlined } from '@ant-design/icons';
import { definePage } from '../registry';

export default definePage({
  name: 'start',
  title: { en: 'First steps', 'zh-CN': '快速开始', 'zh-TW': '快速開始' },
  icon: RocketOutlined,
  group: 'watch',
  order: 90,
  need: 'operate',
  load: () => import('./Start'),
});
