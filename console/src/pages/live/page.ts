import { ThunderboltOutlined } from '@ant-design/icons';
import { definePage } from '../registry';

export default definePage({
  name: 'live',
  title: { en: 'Live consumption', 'zh-CN': '实时消费', 'zh-TW': '即時消耗' },
  icon: ThunderboltOutlined,
  group: 'watch',
  order: 50,
  need: 'read',
  load: () => import('./LiveConsumption'),
});
